-- An order for those who show it.
--
-- Returns {tag, document}; NULL when there is none. The tag differs whenever the document does: a version alone would not do,
-- because one that was not on disk may come again after a crash. Locks nothing and writes nothing.
CREATE OR REPLACE FUNCTION read_order(p_id UUID) RETURNS TEXT[] LANGUAGE plpgsql STABLE AS
$$
DECLARE
    o orders;
BEGIN
    SELECT * INTO o FROM orders WHERE id = p_id;
    RETURN CASE WHEN FOUND THEN ARRAY[o.version || '.' || (extract(epoch FROM o.updated_at) * 1000000)::bigint, render_document(o)] END;
END
$$;
