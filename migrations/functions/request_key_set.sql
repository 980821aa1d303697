-- Decides who asks an issuer for its keys: one caller in p_interval_ms, or in p_first_ms while no keys are known.
--
-- Returns {outcome, document}; document NULL while no keys are known. Outcome: 'ask' when it is the caller who is to ask, and to tell by
-- store_key_set what came of it; 'asking' when somebody else does so, for p_deadline_ms at most; 'known' when it is too early to ask again.
-- Raises read_only_sql_transaction on a read-only server.
-- Locks: the issuer's row, when it is time to ask.
-- Commit: may be asynchronous, and is. Losing it in a crash of PostgreSQL loses that somebody has asked.
CREATE OR REPLACE FUNCTION request_key_set(p_url TEXT, p_interval_ms BIGINT, p_first_ms BIGINT, p_deadline_ms BIGINT)
RETURNS TEXT[] LANGUAGE plpgsql AS
$$
DECLARE
    at TIMESTAMP := timezone('utc', clock_timestamp());
    k key_sets;
    wait INTERVAL;
BEGIN
    PERFORM require_writable_server();
    SELECT * INTO k FROM key_sets WHERE url = p_url;
    wait := CASE WHEN k.document IS NULL THEN p_first_ms ELSE p_interval_ms END * interval '1 millisecond';
    -- A time in the future: the clock was set back.
    IF k.url IS NULL OR k.asked_at <= at - wait OR k.asked_at > at THEN
        PERFORM set_config('synchronous_commit', 'off', true);
        INSERT INTO key_sets (url, asked_at, answered) VALUES (p_url, at, false)
        ON CONFLICT (url) DO UPDATE SET asked_at = at, answered = false
            WHERE key_sets.asked_at IS NOT DISTINCT FROM k.asked_at;
        IF FOUND THEN
            RETURN ARRAY['ask', k.document];
        END IF;
        -- Somebody else was faster.
        RETURN ARRAY['asking', k.document];
    END IF;
    IF NOT k.answered AND k.asked_at > at - p_deadline_ms * interval '1 millisecond' THEN
        RETURN ARRAY['asking', k.document];
    END IF;
    RETURN ARRAY['known', k.document];
END
$$;
