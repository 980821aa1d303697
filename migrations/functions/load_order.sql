-- Loads an order for a decision on it.
--
-- Returns {state, document}; NULL when there is no such order.
-- Locks nothing: the version check of store_transition (optimistic concurrency) finds a concurrent change.
-- Commit: none is needed, it writes nothing.
CREATE OR REPLACE FUNCTION load_order(p_id UUID) RETURNS TEXT[] LANGUAGE plpgsql STABLE AS
$$
DECLARE
    o orders;
BEGIN
    SELECT * INTO o FROM orders WHERE id = p_id;
    RETURN CASE WHEN FOUND THEN ARRAY[render_state(o), render_document(o)] END;
END
$$;
