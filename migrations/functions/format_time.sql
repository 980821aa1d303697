-- A time in UTC as RFC 3339 with microseconds.
--
-- STABLE, as what it calls is: PostgreSQL would not inline it otherwise.
CREATE OR REPLACE FUNCTION format_time(t TIMESTAMP) RETURNS TEXT LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT to_char(t, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') $$;
