-- Loads an order for a decision on it.
--
-- Returns {state, document}; NULL when there is no such order.
-- On a read-only server an order that is not there may have been placed at another one since a failover: 25006 then, and no answer.
-- Locks nothing: the version check of apply_transition (optimistic concurrency) finds a concurrent change.
-- Commit: none is needed, it writes nothing.
CREATE OR REPLACE FUNCTION load_order(p_id UUID) RETURNS TEXT[] LANGUAGE plpgsql STABLE AS
$$
DECLARE
    o orders;
BEGIN
    SELECT * INTO o FROM orders WHERE id = p_id;
    IF FOUND THEN
        RETURN ARRAY[render_state(o), render_document(o)];
    END IF;
    PERFORM require_writable_server();
    RETURN NULL;
END
$$;
