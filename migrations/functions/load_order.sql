-- An order for those who decide on it.
--
-- Returns {state, document}; NULL when there is none. Locks nothing and writes nothing.
CREATE OR REPLACE FUNCTION load_order(p_id UUID) RETURNS TEXT[] LANGUAGE plpgsql STABLE AS
$$
DECLARE
    o orders;
BEGIN
    SELECT * INTO o FROM orders WHERE id = p_id;
    RETURN CASE WHEN FOUND THEN ARRAY[render_state(o), render_document(o)] END;
END
$$;
