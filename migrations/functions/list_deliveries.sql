-- Lists what sinks were sent: the deliveries of the order p_order where that is not NULL, in the state p_state where that is not NULL:
-- 'pending', 'dead' or 'delivered'. Without an order those that have waited longest, and of delivered ones none.
--
-- The queues are read from their low-water mark on: see scan_queues.
-- Returns JSON text: {"deliveries": [...], "sinks": [...]}. Raises read_only_sql_transaction on a read-only server.
-- Locks nothing. Commit: none is needed, it writes nothing.
CREATE OR REPLACE FUNCTION list_deliveries(p_order UUID, p_state TEXT, p_limit INT) RETURNS TEXT LANGUAGE plpgsql STABLE AS
$$
DECLARE
    mark TIMESTAMP := (find_marks()).events_from;
    found TEXT;
BEGIN
    PERFORM require_writable_server();
    SELECT json_agg(json_build_object(
        'order_id', d.order_id, 'sink', d.sink,
        'state', CASE WHEN d.dead_at IS NOT NULL THEN 'dead' WHEN d.next <= d.last THEN 'pending' ELSE 'delivered' END,
        'delivered', d.next - 1, 'events', d.last, 'attempts', d.attempts, 'due_at', format_time(d.due_at),
        'delivered_at', format_time(d.delivered_at), 'dead_at', format_time(d.dead_at), 'tried', d.tried)
        ORDER BY coalesce(d.due_at, d.dead_at, d.delivered_at), d.order_id, d.sink)::text
    INTO found FROM (
        SELECT * FROM (
            SELECT x.* FROM event_deliveries x WHERE x.order_id = p_order
            UNION ALL
            SELECT x.* FROM event_sinks s CROSS JOIN LATERAL (
                SELECT * FROM event_deliveries y WHERE y.sink = s.sink AND y.due_at >= mark ORDER BY y.due_at LIMIT p_limit) x
            WHERE p_order IS NULL AND p_state IS DISTINCT FROM 'dead'
            UNION ALL
            (SELECT x.* FROM event_deliveries x WHERE p_order IS NULL AND p_state IS DISTINCT FROM 'pending' AND x.dead_at IS NOT NULL
             ORDER BY x.dead_at LIMIT p_limit)
        ) one
        WHERE p_state IS NULL
           OR p_state = CASE WHEN one.dead_at IS NOT NULL THEN 'dead' WHEN one.next <= one.last THEN 'pending' ELSE 'delivered' END
        ORDER BY coalesce(one.due_at, one.dead_at, one.delivered_at), one.order_id, one.sink LIMIT p_limit) d;
    RETURN json_build_object(
        'deliveries', coalesce(found, '[]')::json,
        'sinks', (SELECT json_agg(json_build_object(
            'sink', s.sink, 'state', CASE WHEN s.off_at IS NOT NULL THEN 'off'
                WHEN s.paused_until > timezone('utc', clock_timestamp()) THEN 'paused' ELSE 'on' END,
            'since', format_time(s.off_at), 'paused_until', format_time(s.paused_until), 'reason', s.reason) ORDER BY s.sink) FROM event_sinks s))::text;
END
$$;
