-- The low-water marks from which the claims read the queues: those of the last scan, or none while a full scan is asked for. See
-- scan_queues.
--
-- Returns the scan's row.
-- Locks nothing. Commit: none is needed, it writes nothing.
CREATE OR REPLACE FUNCTION find_marks() RETURNS queue_scans LANGUAGE plpgsql AS
$$
DECLARE
    scan queue_scans;
BEGIN
    SELECT * INTO scan FROM queue_scans ORDER BY id DESC LIMIT 1;
    IF NOT scan.full_failed AND EXISTS (SELECT FROM queue_resets) THEN
        scan.orders_from := '-infinity';
        scan.refunds_from := '-infinity';
        scan.messages_from := '-infinity';
        scan.waiting_from := '-infinity';
        scan.events_from := '-infinity';
    END IF;
    RETURN scan;
END
$$;
