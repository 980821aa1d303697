-- Makes the answer to a failed version check: the order as it is now.
--
-- Returns {conflict, state, document}; the document is NULL unless p_document asks for it.
-- Locks nothing. Commit: none is needed, it writes nothing.
CREATE OR REPLACE FUNCTION report_conflict(o orders, p_document BOOLEAN) RETURNS TEXT[] LANGUAGE plpgsql STABLE AS
$$
BEGIN
    RETURN ARRAY['conflict', render_state(o), CASE WHEN p_document THEN render_document(o) END];
END
$$;
