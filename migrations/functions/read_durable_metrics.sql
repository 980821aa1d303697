-- Reads what read_metrics reads, and makes it durable: some of it was committed asynchronously, and a crash of PostgreSQL must not take
-- back what was told. On a read-only server it only reads.
--
-- Returns what read_metrics returns.
-- Locks nothing.
-- Commit: waits for the local log, and with it for all that was committed before; not for a standby, which may be away.
CREATE OR REPLACE FUNCTION read_durable_metrics() RETURNS TEXT LANGUAGE plpgsql AS
$$
BEGIN
    IF NOT current_setting('transaction_read_only')::boolean THEN
        PERFORM set_config('synchronous_commit', 'local', true);
        -- Something must be written to the log, else the commit waits for nothing.
        PERFORM pg_logical_emit_message(true, 'order-service', '');
    END IF;
    RETURN read_metrics();
END
$$;
