-- Counts the events that an order has had, which is the sequence of the last one.
--
-- Returns a number; 0 for an order that has had none, or is not there.
-- Locks nothing: who makes an event has locked the order. Commit: none is needed, it writes nothing.
CREATE OR REPLACE FUNCTION count_events(p_order UUID) RETURNS INT LANGUAGE plpgsql STABLE AS
$$
BEGIN
    RETURN coalesce((
        SELECT e.sequence + jsonb_array_length(e.events) - 1 FROM order_events e
        WHERE e.order_id = p_order AND e.events IS NOT NULL ORDER BY e.seq DESC LIMIT 1), 0);
END
$$;
