-- Loads an order for a decision on it.
--
-- Returns {state, document}; NULL when there is no such order.
-- A read-only server may be behind since a failover: what it answers has a third element, 'read-only', and for an order that is not
-- there it is 25006.
-- Locks nothing: the version check of apply_transition (optimistic concurrency) finds a concurrent change.
-- Commit: none is needed, it writes nothing.
CREATE OR REPLACE FUNCTION load_order(p_id UUID) RETURNS TEXT[] LANGUAGE plpgsql STABLE AS
$$
DECLARE
    o orders;
BEGIN
    SELECT * INTO o FROM orders WHERE id = p_id;
    IF FOUND THEN
        IF current_setting('transaction_read_only') = 'on' THEN
            RETURN ARRAY[render_state(o), render_document(o), 'read-only'];
        END IF;
        RETURN ARRAY[render_state(o), render_document(o)];
    END IF;
    PERFORM require_writable_server();
    RETURN NULL;
END
$$;
