-- An interval in whole milliseconds; -1 when there is none.
CREATE OR REPLACE FUNCTION count_milliseconds(i INTERVAL) RETURNS BIGINT LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT coalesce((extract(epoch FROM i) * 1000)::bigint, -1) $$;
