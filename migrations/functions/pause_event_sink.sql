-- Notes what a sink as a whole has done: it takes nothing, so that nothing is sent to it for p_wait_ms at least, and
-- for longer each time, up to a minute; or it has said that nothing is to be
-- sent any more (p_wait_ms is NULL); or it takes events again (p_reason is NULL).
--
-- Returns nothing.
-- Locks: the sink's row.
-- Commit: asynchronous; losing it costs a few attempts.
CREATE OR REPLACE FUNCTION pause_event_sink(p_sink TEXT, p_reason TEXT, p_wait_ms BIGINT) RETURNS VOID LANGUAGE plpgsql AS
$$
DECLARE
    at TIMESTAMP := timezone('utc', clock_timestamp());
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    UPDATE event_sinks SET
        failures = CASE WHEN p_reason IS NULL THEN 0 ELSE failures + 1 END,
        paused_until = CASE WHEN p_reason IS NOT NULL THEN
            at + greatest(p_wait_ms, least(60000, 1000 * 2 ^ least(failures, 6))::bigint) * interval '1 millisecond' END,
        failing_since = CASE WHEN p_reason IS NOT NULL THEN coalesce(failing_since, at) END,
        off_at = CASE WHEN p_reason IS NOT NULL AND p_wait_ms IS NULL THEN coalesce(off_at, at) ELSE off_at END,
        reason = p_reason
    WHERE sink = p_sink AND (p_reason IS NOT NULL OR failures > 0);
END
$$;
