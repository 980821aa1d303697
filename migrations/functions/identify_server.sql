-- Identifies the server whose transaction numbers a cursor has: the database cluster, and its timeline, which every failover and every
-- restore to a point in time begins anew. Numbers of one mean nothing on another.
--
-- Returns a number.
-- Locks nothing. Commit: none is needed, it writes nothing.
CREATE OR REPLACE FUNCTION identify_server() RETURNS BIGINT LANGUAGE plpgsql STABLE AS
$$
BEGIN
    RETURN hashtextextended((SELECT system_identifier FROM pg_control_system()) || '.' || left(pg_walfile_name(pg_current_wal_lsn()), 8), 0);
END
$$;
