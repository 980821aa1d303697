-- Stores the keys that an issuer shows; without p_document that it was asked in vain, and the keys that were known before stay.
--
-- Returns nothing.
-- Locks: the issuer's row.
-- Commit: may be asynchronous, and is. After a crash of PostgreSQL the issuer is asked again.
CREATE OR REPLACE FUNCTION store_key_set(p_url TEXT, p_document TEXT) RETURNS VOID LANGUAGE plpgsql AS
$$
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    UPDATE key_sets SET
        answered = true,
        document = coalesce(p_document, document),
        fetched_at = CASE WHEN p_document IS NULL THEN fetched_at ELSE timezone('utc', clock_timestamp()) END
    WHERE url = p_url;
END
$$;
