-- Notes that a sink took nothing, or that it wants nothing any more (p_wait_ms is NULL). p_order: the only order that it was asked for, where
-- that may be to blame; NULL: the sink is. While one order alone has failed since the sink last took an event, the others are still sent; when
-- a second one has, nothing is sent for p_wait_ms at least, and for longer each time, up to a minute.
--
-- Returns whether the order may be to blame, which is so the first time after the sink took others; how many milliseconds what has failed waits
-- where it is not; and whether the sink fails since now.
-- Locks: the sink's row.
-- Commit: asynchronous; losing it costs a few attempts.
CREATE OR REPLACE FUNCTION pause_event_sink(p_sink TEXT, p_reason TEXT, p_wait_ms BIGINT, p_order UUID)
RETURNS TABLE (is_of_order BOOLEAN, wait_ms INT, has_begun BOOLEAN) LANGUAGE plpgsql AS
$$
DECLARE
    at TIMESTAMP := timezone('utc', clock_timestamp());
    was event_sinks;
    is_alone BOOLEAN;
    left_ms INT;
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    SELECT * INTO was FROM event_sinks s WHERE s.sink = p_sink FOR UPDATE;
    is_alone := p_order IS NOT NULL AND (was.failures = 0 OR was.failed_order IS NOT DISTINCT FROM p_order);
    is_of_order := is_alone AND was.failures = 0;
    has_begun := NOT is_alone AND (was.failures = 0 OR was.failed_order IS NOT NULL);
    -- Several claims may fail at the same time: that counts once, and shortens no pause that the sink has asked for.
    left_ms := CASE WHEN NOT is_alone AND was.paused_until > at THEN ceil(1000 * extract(epoch FROM was.paused_until - at)) END;
    wait_ms := greatest(least(coalesce(p_wait_ms, 0), 3600000)::int, coalesce(left_ms, least(60000, 1000 * 2 ^ least(was.failures, 6))::int));
    UPDATE event_sinks s SET
        failures = CASE WHEN left_ms IS NULL THEN was.failures + 1 ELSE was.failures END,
        failed_order = CASE WHEN is_alone THEN p_order END,
        failing_since = coalesce(was.failing_since, at),
        paused_until = CASE WHEN NOT is_alone THEN at + wait_ms * interval '1 millisecond' END,
        off_at = CASE WHEN p_wait_ms IS NULL THEN coalesce(was.off_at, at) ELSE was.off_at END,
        reason = p_reason
    WHERE s.sink = p_sink;
    RETURN NEXT;
END
$$;
