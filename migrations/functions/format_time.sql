-- Formats a time in UTC as RFC 3339 with microseconds.
--
-- Returns the text; NULL for NULL.
-- Locks nothing. Commit: none is needed, it writes nothing.
--
-- STABLE, as to_char is: PostgreSQL would not inline it otherwise.
CREATE OR REPLACE FUNCTION format_time(t TIMESTAMP) RETURNS TEXT LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT to_char(t, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') $$;
