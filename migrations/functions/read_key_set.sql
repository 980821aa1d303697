-- Reads the keys that an issuer has shown last.
--
-- Returns {document, age in ms}; NULL when none are known.
-- A read-only server may be behind since a failover: what it answers has a third element, 'read-only', and where no keys are known it
-- is 25006.
-- Locks nothing. Commit: none is needed, it writes nothing.
CREATE OR REPLACE FUNCTION read_key_set(p_url TEXT) RETURNS TEXT[] LANGUAGE plpgsql STABLE AS
$$
DECLARE
    k key_sets;
    answer TEXT[];
BEGIN
    SELECT * INTO k FROM key_sets WHERE url = p_url AND document IS NOT NULL;
    IF NOT FOUND THEN
        PERFORM require_writable_server();
        RETURN NULL;
    END IF;
    answer := ARRAY[k.document, count_milliseconds(timezone('utc', clock_timestamp()) - k.fetched_at)::text];
    IF current_setting('transaction_read_only') = 'on' THEN
        RETURN answer || 'read-only'::text;
    END IF;
    RETURN answer;
END
$$;
