-- The public keys of those who issue tokens, for all copies of the service: instances are short-lived, and each of them would ask.
SET LOCAL lock_timeout = '2s';

-- One row an issuer. Written once in some minutes.
CREATE TABLE key_sets (
    -- Where the keys are shown.
    url TEXT PRIMARY KEY,
    -- The last document with keys in it, as it came, and when that was; NULL before the first.
    document TEXT,
    fetched_at TIMESTAMP,
    -- When somebody last began to ask, and whether that has ended.
    asked_at TIMESTAMP NOT NULL,
    answered BOOLEAN NOT NULL,
    CHECK ((document IS NULL) = (fetched_at IS NULL))
);

INSERT INTO schema_migrations (version) VALUES ('0014_authentication');
