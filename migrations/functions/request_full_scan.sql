-- Makes the next scan of the queues a full one, and until then the claims begin at the beginning of the queues: for what was written
-- by hand, or restored, with a due time in the past. See scan_queues.
--
-- Does nothing while every scan is full anyway, and paces itself: after a full scan that visited many dead entries, so many
-- milliseconds must have passed, or a minute.
--
-- Returns nothing.
-- Locks: a new row.
-- Commit: the caller's.
CREATE OR REPLACE FUNCTION request_full_scan() RETURNS VOID LANGUAGE plpgsql AS
$$
DECLARE
    last queue_scans;
BEGIN
    -- A server that may be behind does not know whether one is needed.
    PERFORM require_writable_server();
    SELECT * INTO last FROM queue_scans ORDER BY id DESC LIMIT 1;
    IF greatest(last.orders_from, last.refunds_from, last.messages_from, last.waiting_from) > '-infinity'
        AND timezone('utc', clock_timestamp()) >= last.full_at + least(last.full_entries * interval '1 millisecond', interval '1 minute') THEN
        -- One row a transaction. The row of another one may be deleted before this one's commit.
        INSERT INTO queue_resets DEFAULT VALUES ON CONFLICT DO NOTHING;
    END IF;
END
$$;
