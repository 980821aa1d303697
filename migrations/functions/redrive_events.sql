-- Tries again what a sink was not sent any more: makes its dead letters due, and what waits after a refusal, at most p_limit, of the
-- orders p_orders alone where that is not NULL; else it switches the sink on, too. What may be under way is left alone: p_lease_ms, for
-- how long a claim holds a delivery at most.
--
-- Returns how many deliveries are due again.
-- Locks: the deliveries, in ascending order of the orders; then the sink's row.
-- Commit: durable.
CREATE OR REPLACE FUNCTION redrive_events(p_sink TEXT, p_orders UUID[], p_limit INT, p_lease_ms INT) RETURNS INT LANGUAGE plpgsql AS
$$
DECLARE
    at CONSTANT TIMESTAMP := timezone('utc', clock_timestamp());
    not_leased CONSTANT TIMESTAMP := at + p_lease_ms * interval '1 millisecond';
    redriven INT;
BEGIN
    UPDATE event_deliveries d SET due_at = at, dead_at = NULL, attempts = 0
    FROM (
        -- Each half by its own index, in a table that keeps a row of every order.
        SELECT x.order_id FROM event_deliveries x
        WHERE x.sink = p_sink AND x.dead_at IS NOT NULL AND (p_orders IS NULL OR x.order_id = ANY (p_orders))
        UNION ALL
        SELECT x.order_id FROM event_deliveries x
        WHERE x.sink = p_sink AND x.due_at > not_leased AND x.attempts > 0 AND (p_orders IS NULL OR x.order_id = ANY (p_orders))
        ORDER BY order_id LIMIT p_limit) stuck
    CROSS JOIN LATERAL (SELECT y.order_id FROM event_deliveries y WHERE y.order_id = stuck.order_id AND y.sink = p_sink OFFSET 0 FOR UPDATE) locked
    WHERE d.order_id = locked.order_id AND d.sink = p_sink AND (d.dead_at IS NOT NULL OR d.attempts > 0 AND d.due_at > not_leased);
    GET DIAGNOSTICS redriven = ROW_COUNT;
    UPDATE event_sinks SET off_at = NULL, paused_until = NULL, failures = 0, failing_since = NULL, failed_order = NULL, reason = NULL WHERE sink = p_sink AND p_orders IS NULL;
    RETURN redriven;
END
$$;
