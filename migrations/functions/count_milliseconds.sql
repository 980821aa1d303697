-- Converts an interval to milliseconds.
--
-- Returns whole milliseconds, rounded, negative for a time in the past; -1 when the interval is NULL.
-- Locks nothing. Commit: none is needed, it writes nothing.
CREATE OR REPLACE FUNCTION count_milliseconds(i INTERVAL) RETURNS BIGINT LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT coalesce((extract(epoch FROM i) * 1000)::bigint, -1) $$;
