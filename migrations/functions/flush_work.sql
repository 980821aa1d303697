-- Flushes the counters of an instance ([{"name", "label", "value"}, ...]), updates the heartbeat (a minute without one is a pause),
-- and looks whether anything is due.
--
-- Returns a list of 'orders' and 'messages', empty when nothing is due.
-- Locks: rows of work_counts in the order of their names and labels, so that two instances wait for each other and do not
-- deadlock; then the heartbeat.
-- Commit: may be asynchronous, and is. Losing it loses the counts of a moment.
CREATE OR REPLACE FUNCTION flush_work(p_counts JSONB) RETURNS TEXT[] LANGUAGE plpgsql AS
$$
DECLARE
    at TIMESTAMP := timezone('utc', clock_timestamp());
    due TEXT[] := '{}';
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    -- In one lock order for all instances: they wait for each other and do not deadlock.
    INSERT INTO work_counts AS w (name, label, value)
    SELECT c.name, c.label, c.value FROM jsonb_to_recordset(p_counts) AS c (name TEXT, label TEXT, value DOUBLE PRECISION)
    ORDER BY c.name, c.label
    ON CONFLICT (name, label) DO UPDATE SET value = w.value + excluded.value;
    -- Many instances flush in a second; one of them updates the heartbeat.
    IF NOT EXISTS (SELECT FROM heartbeat WHERE seen_at > at - interval '1 second') THEN
        INSERT INTO heartbeat AS h (id, started_at, seen_at) VALUES (1, at, at)
        ON CONFLICT (id) DO UPDATE SET
            started_at = CASE WHEN h.seen_at < at - interval '1 minute' THEN at ELSE h.started_at END,
            seen_at = at;
    END IF;
    -- min() reads the end of an index, whatever the planner estimates of how many are due.
    IF (SELECT min(due_at) FROM orders WHERE due_at IS NOT NULL) <= at
        OR (SELECT min(watch_at) FROM orders WHERE watch_at IS NOT NULL) <= at
        OR (SELECT min(due_at) FROM payment_refunds WHERE due_at IS NOT NULL) <= at THEN
        due := due || 'orders'::text;
    END IF;
    IF (SELECT min(due_at) FROM outbox WHERE dead_at IS NULL) <= at THEN
        due := due || 'messages'::text;
    END IF;
    RETURN due;
END
$$;
