-- Reads what /metrics shows of the service as one process: since when it is at work, and its CPU load.
--
-- Returns JSON text: started_at, in seconds since 1970, and null before the first scan; load, CPU seconds a second over the last
-- minute, whose beginning lies between two marks. Where the first mark is younger than a minute, what was computed before it is left out.
-- Locks nothing. Commit: none is needed, it writes nothing.
CREATE OR REPLACE FUNCTION read_load() RETURNS TEXT LANGUAGE plpgsql STABLE AS
$$
DECLARE
    now_at CONSTANT TIMESTAMP := timezone('utc', now());
    begin_at CONSTANT TIMESTAMP := now_at - interval '1 minute';
    total CONSTANT DOUBLE PRECISION := sum_busy_seconds();
    before load_marks;
    after load_marks;
    share DOUBLE PRECISION := 1;
BEGIN
    SELECT * INTO before FROM load_marks WHERE at <= begin_at ORDER BY at DESC LIMIT 1;
    SELECT * INTO after FROM (
        (SELECT * FROM load_marks WHERE at > begin_at AND at < now_at ORDER BY at LIMIT 1) UNION ALL SELECT now_at, total) m
    ORDER BY at LIMIT 1;
    IF before.at IS NOT NULL THEN
        share := extract(epoch FROM begin_at - before.at) / extract(epoch FROM after.at - before.at);
    END IF;
    RETURN json_build_object(
        'started_at', (SELECT extract(epoch FROM working_since) FROM queue_scans ORDER BY id DESC LIMIT 1),
        'load', greatest(0, total - coalesce(before.busy_seconds, 0) * (1 - share) - after.busy_seconds * share) / 60)::text;
END
$$;
