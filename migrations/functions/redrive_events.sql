-- Tries again what a sink was not sent any more: makes its dead letters due, and what waits after a refusal, at most p_limit, of the orders p_orders alone where that is not
-- NULL; else it switches the sink on, too.
--
-- Returns how many deliveries are due again.
-- Locks: the deliveries, in ascending order of the orders; then the sink's row.
-- Commit: durable.
CREATE OR REPLACE FUNCTION redrive_events(p_sink TEXT, p_orders UUID[], p_limit INT) RETURNS INT LANGUAGE plpgsql AS
$$
DECLARE
    at CONSTANT TIMESTAMP := timezone('utc', clock_timestamp());
    redriven INT;
BEGIN
    UPDATE event_deliveries d SET due_at = at, dead_at = NULL, attempts = 0
    FROM (SELECT x.order_id FROM event_deliveries x
          WHERE (x.dead_at IS NOT NULL OR x.attempts > 0 AND x.due_at > at) AND x.sink = p_sink AND (p_orders IS NULL OR x.order_id = ANY (p_orders))
          ORDER BY x.order_id LIMIT p_limit FOR UPDATE) dead
    WHERE d.order_id = dead.order_id AND d.sink = p_sink;
    GET DIAGNOSTICS redriven = ROW_COUNT;
    UPDATE event_sinks SET off_at = NULL, paused_until = NULL, failures = 0, failing_since = NULL, failed_order = NULL, reason = NULL WHERE sink = p_sink AND p_orders IS NULL;
    RETURN redriven;
END
$$;
