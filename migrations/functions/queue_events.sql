-- Queues an order's events for sinks, up to the one with the number p_last. A sink that has had none of the order's gets all of them.
-- Called by insert_order and apply_transition, which have written or locked the order.
--
-- Returns nothing.
-- Locks: the order's deliveries, in ascending order of the sinks. Who stores what came of a delivery has those of one sink only, so that
-- nobody deadlocks.
-- Commit: the caller's.
CREATE OR REPLACE FUNCTION queue_events(p_order UUID, p_last INT, p_sinks TEXT[], p_at TIMESTAMP) RETURNS VOID LANGUAGE plpgsql AS
$$
BEGIN
    INSERT INTO event_deliveries AS d (order_id, sink, next, last, due_at)
    SELECT p_order, s, 1, p_last, p_at FROM unnest(p_sinks) s ORDER BY s
    ON CONFLICT (order_id, sink) DO UPDATE SET
        last = excluded.last,
        -- Earlier ones that wait are due when they are.
        due_at = CASE WHEN d.next > d.last THEN excluded.due_at ELSE d.due_at END;
END
$$;
