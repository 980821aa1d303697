-- Stores what came of deliveries to one sink: a JSON array of {order_id, lease, delivered, status, error, counts, delay_ms}. `delivered`: how many
-- events it took. `error`: why it did not take the next one; NULL when it took all that were sent. `counts`: whether that
-- attempt counts. Then that one is due after delay_ms, or never again when that is NULL: it is a dead letter, until it is redriven. What
-- came of a claim that another has followed is left out.
--
-- p_takes: whether the sink takes events, so that it is not paused any more.
-- Returns nothing.
-- Locks: the deliveries, in ascending order of the orders, so that it does not deadlock with replay_events; then the sink's row.
-- Commit: asynchronous. What is lost in a crash is sent once more.
CREATE OR REPLACE FUNCTION store_event_deliveries(p_sink TEXT, p_outcomes JSONB, p_takes BOOLEAN) RETURNS VOID LANGUAGE plpgsql AS
$$
DECLARE
    at TIMESTAMP := timezone('utc', clock_timestamp());
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    PERFORM FROM event_deliveries
    WHERE sink = p_sink AND order_id IN (SELECT x.order_id FROM jsonb_to_recordset(p_outcomes) AS x (order_id UUID)) ORDER BY order_id FOR UPDATE;
    UPDATE event_deliveries d SET
        next = d.next + x.delivered,
        due_at = CASE
            WHEN d.next + x.delivered > d.last THEN NULL
            -- Not asked, or not for all: at once. Spread, so that many that were claimed together do not hide one that came between.
            WHEN x.error IS NULL THEN at - random() * interval '1 second'
            ELSE at + x.delay_ms * interval '1 millisecond' END,
        dead_at = CASE WHEN x.error IS NOT NULL AND x.delay_ms IS NULL THEN at END,
        attempts = CASE WHEN x.delivered > 0 THEN 0 ELSE d.attempts END + x.counts::int,
        delivered_at = CASE WHEN x.delivered > 0 THEN at ELSE d.delivered_at END,
        tried = CASE WHEN x.delivered = 0 AND x.error IS NULL THEN d.tried ELSE (SELECT coalesce(jsonb_agg(t.one ORDER BY t.n), '[]') FROM (
            SELECT * FROM jsonb_array_elements(d.tried || jsonb_build_object(
                'at', format_time(at), 'sequence', d.next + x.delivered - (x.error IS NULL)::int, 'status', x.status, 'error', x.error))
                WITH ORDINALITY AS all_tried (one, n) ORDER BY n DESC LIMIT 5) t) END
    FROM jsonb_to_recordset(p_outcomes) AS x (order_id UUID, lease INT, delivered INT, status INT, error TEXT, counts BOOLEAN, delay_ms BIGINT)
    WHERE d.order_id = x.order_id AND d.sink = p_sink AND d.lease = x.lease;
    IF p_takes THEN
        UPDATE event_sinks SET failures = 0, failing_since = NULL, failed_order = NULL, paused_until = NULL, reason = NULL WHERE sink = p_sink AND failures > 0 AND off_at IS NULL;
    END IF;
END
$$;
