-- Claims orders whose next events are due for one of the sinks p_sinks: each is leased to the caller. Those that are due for longest come
-- first; of a sink that fails half are the latest, which many that it does not take must not hide. Sinks that are switched off or paused are
-- left out. A delivery whose order is gone is deleted. p_events: the most events of an order, p_source: see render_event.
--
-- Returns the claimed orders with their events, a JSON array in order, and their traces, the longest due first; no row when nothing is due.
-- Locks: the deliveries. SKIP LOCKED: those that another transaction has locked are left out.
-- Commit: durable, and with it what was committed asynchronously before: an event that is sent must not be lost in a crash.
CREATE OR REPLACE FUNCTION claim_due_events(p_sinks TEXT[], p_limit INT, p_events INT, p_lease_ms INT, p_source TEXT)
RETURNS TABLE (order_id UUID, sink TEXT, lease INT, attempts INT, events TEXT, traceparent TEXT, tracestate TEXT) LANGUAGE plpgsql AS
$$
DECLARE
    at TIMESTAMP := timezone('utc', clock_timestamp());
    mark TIMESTAMP := (find_marks()).events_from;
BEGIN
    RETURN QUERY WITH due AS MATERIALIZED (
        SELECT x.order_id, x.sink, x.due_at, (SELECT o.id FROM orders o WHERE o.id = x.order_id) IS NULL AS is_orphan FROM event_sinks s
        CROSS JOIN LATERAL (
            SELECT * FROM (
                SELECT y.order_id, y.sink, y.due_at FROM event_deliveries y WHERE y.sink = s.sink AND y.due_at >= mark AND y.due_at <= at
                ORDER BY y.due_at LIMIT CASE WHEN s.failures = 0 THEN p_limit ELSE (p_limit + 1) / 2 END FOR UPDATE SKIP LOCKED) oldest
            UNION ALL
            -- What has failed last is due when the pause ends, and hides nobody.
            SELECT * FROM (
                SELECT y.order_id, y.sink, y.due_at FROM event_deliveries y WHERE y.sink = s.sink AND y.due_at >= mark AND y.due_at <= at
                    AND y.due_at < coalesce(s.paused_until, at)
                ORDER BY y.due_at DESC LIMIT CASE WHEN s.failures = 0 THEN 0 ELSE p_limit / 2 END FOR UPDATE SKIP LOCKED) latest) x
        WHERE s.sink = ANY (p_sinks) AND s.off_at IS NULL AND (s.paused_until > at) IS NOT TRUE
    ), gone AS (
        DELETE FROM event_deliveries d USING due WHERE due.is_orphan AND d.order_id = due.order_id AND d.sink = due.sink
    ), claimed AS (
        UPDATE event_deliveries d SET lease = d.lease + 1, due_at = at + p_lease_ms * interval '1 millisecond'
        FROM due WHERE NOT due.is_orphan AND d.order_id = due.order_id AND d.sink = due.sink
        RETURNING d.order_id, d.sink, d.lease, d.attempts, d.next, due.due_at AS was_due
    )
    SELECT c.order_id, c.sink, c.lease, c.attempts, coalesce('[' || (
        SELECT string_agg(render_event(e, o, i, p_source), ',' ORDER BY e.sequence + i)
        FROM orders o
        CROSS JOIN LATERAL (
            SELECT * FROM order_events j WHERE j.order_id = o.id AND j.events IS NOT NULL
            AND j.sequence + jsonb_array_length(j.events) > c.next AND j.sequence < c.next + p_events ORDER BY j.seq) e
        CROSS JOIN LATERAL generate_series(0, jsonb_array_length(e.events) - 1) i
        WHERE o.id = c.order_id AND e.sequence + i >= c.next AND e.sequence + i < c.next + p_events) || ']', '[]'), t.traceparent, t.tracestate
    FROM claimed c LEFT JOIN LATERAL (SELECT x.traceparent, x.tracestate FROM orders x WHERE x.id = c.order_id OFFSET 0) t ON true
    ORDER BY c.was_due;
END
$$;
