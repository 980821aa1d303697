-- Reads an order for an answer to a client.
--
-- Returns {tag, document}; NULL when there is no such order. The tag is part of the ETag, and differs whenever the document does.
-- It has the time of the change beside the version, because a version that was not on disk may come again after a crash. And it
-- has the number of the document's format, because an order that has not changed is rendered otherwise by another render_document:
-- a test holds the number to the text of that function.
-- On a read-only server an order that is not there may have been placed at another one since a failover: 25006 then, and no answer.
-- Locks nothing. Commit: none is needed, it writes nothing.
CREATE OR REPLACE FUNCTION read_order(p_id UUID) RETURNS TEXT[] LANGUAGE plpgsql STABLE AS
$$
DECLARE
    format CONSTANT INT := 2;
    o orders;
BEGIN
    SELECT * INTO o FROM orders WHERE id = p_id;
    IF FOUND THEN
        RETURN ARRAY[format || '.' || o.version || '.' || (extract(epoch FROM o.updated_at) * 1000000)::bigint, render_document(o)];
    END IF;
    PERFORM require_writable_server();
    RETURN NULL;
END
$$;
