-- Reads an order for an answer to a client.
--
-- Returns {tag, document}; NULL when there is no such order. The tag is part of the ETag, and differs whenever the document does.
-- It has the time of the change beside the version, because a version that was not on disk may come again after a crash. And it
-- has the number of the document's format, because an order that has not changed is rendered otherwise by another render_document:
-- a test holds the number to the text of that function.
-- A read-only server may be behind since a failover: what it answers has a third element, 'read-only', and for an order that is not
-- there it is 25006. (An element costs less than a column of its own, whose text is prepared anew for every read.)
-- Locks nothing. Commit: none is needed, it writes nothing.
CREATE OR REPLACE FUNCTION read_order(p_id UUID) RETURNS TEXT[] LANGUAGE plpgsql STABLE AS
$$
DECLARE
    format CONSTANT INT := 5;
    o orders;
    tag TEXT;
BEGIN
    SELECT * INTO o FROM orders WHERE id = p_id;
    IF FOUND THEN
        tag := format || '.' || o.version || '.' || (extract(epoch FROM o.updated_at) * 1000000)::bigint;
        IF current_setting('transaction_read_only') = 'on' THEN
            RETURN ARRAY[tag, render_document(o), 'read-only'];
        END IF;
        RETURN ARRAY[tag, render_document(o)];
    END IF;
    PERFORM require_writable_server();
    RETURN NULL;
END
$$;
