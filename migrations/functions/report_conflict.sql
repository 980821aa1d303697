-- What somebody hears whose version of an order is not the latest: {conflict, state, document}, the document only if it is asked
-- for. Locks nothing.
CREATE OR REPLACE FUNCTION report_conflict(o orders, p_document BOOLEAN) RETURNS TEXT[] LANGUAGE plpgsql STABLE AS
$$
BEGIN
    RETURN ARRAY['conflict', render_state(o), CASE WHEN p_document THEN render_document(o) END];
END
$$;
