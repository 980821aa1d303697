-- Reads an order for an answer to a client.
--
-- Returns {tag, document}; NULL when there is no such order. The tag is part of the ETag, and differs whenever the document does.
-- It has the time of the change beside the version, because a version that was not on disk may come again after a crash.
-- Locks nothing. Commit: none is needed, it writes nothing.
CREATE OR REPLACE FUNCTION read_order(p_id UUID) RETURNS TEXT[] LANGUAGE plpgsql STABLE AS
$$
DECLARE
    o orders;
BEGIN
    SELECT * INTO o FROM orders WHERE id = p_id;
    RETURN CASE WHEN FOUND THEN ARRAY[o.version || '.' || (extract(epoch FROM o.updated_at) * 1000000)::bigint, render_document(o)] END;
END
$$;
