-- Makes the next scan of the queues a full one, and until then the claims begin at the beginning of the queues: for what was written
-- by hand, or restored, with a due time in the past. See scan_queues.
--
-- Returns nothing.
-- Locks: a new row.
-- Commit: may be asynchronous, and is. Losing it leaves the scans as they were.
CREATE OR REPLACE FUNCTION request_full_scan() RETURNS VOID LANGUAGE plpgsql AS
$$
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    -- One row a transaction. The row of another one may be deleted before this one's commit.
    INSERT INTO queue_resets DEFAULT VALUES ON CONFLICT DO NOTHING;
END
$$;
