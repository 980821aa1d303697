-- Takes the low-water marks of the queues away, so that the next scan is full: after rows were written with times in the past.
--
-- Returns nothing.
-- Locks: the advisory lock of the scans until the transaction ends; it waits for a scan that is at work.
-- Commit: the caller's.
CREATE OR REPLACE FUNCTION reset_marks() RETURNS VOID LANGUAGE plpgsql AS
$$
DECLARE
    scan queue_scans;
BEGIN
    PERFORM pg_advisory_xact_lock(122537101324916);
    DELETE FROM queue_scans WHERE id = (SELECT max(id) FROM queue_scans) RETURNING * INTO scan;
    scan.id := scan.id + 1;
    scan.orders_from := '-infinity';
    scan.messages_from := '-infinity';
    scan.waiting_from := '-infinity';
    scan.full_entries := 0;
    INSERT INTO queue_scans VALUES (scan.*);
END
$$;
