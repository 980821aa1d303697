-- Makes sure that the server takes writes: after a failover the old primary may be alive and read-only, and miss what was written
-- since. Asked before what is not there is reported as not there, and before a function answers that has written nothing.
--
-- Returns nothing; raises read_only_sql_transaction (25006) on a read-only server, at which the caller asks another one.
-- Locks nothing. Commit: none is needed, it writes nothing.
CREATE OR REPLACE FUNCTION require_writable_server() RETURNS VOID LANGUAGE plpgsql STABLE AS
$$
BEGIN
    IF current_setting('transaction_read_only')::boolean THEN
        RAISE read_only_sql_transaction USING MESSAGE = 'the server is read-only';
    END IF;
END
$$;
