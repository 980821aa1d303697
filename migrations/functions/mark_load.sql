-- Notes how much all instances have computed, every ten seconds while there is work, for the load of the last minute. Called by
-- flush_work when it has scanned the queues.
--
-- Returns nothing.
-- Locks: new rows, and old ones that it deletes; the caller is the only one at it, under the lock of scan_queues.
-- Commit: the caller's.
CREATE OR REPLACE FUNCTION mark_load(p_at TIMESTAMP) RETURNS VOID LANGUAGE plpgsql AS
$$
DECLARE
    last_at CONSTANT TIMESTAMP := (SELECT max(at) FROM load_marks);
BEGIN
    IF last_at > p_at - interval '10 seconds' AND last_at <= p_at THEN
        RETURN;
    END IF;
    -- Those after now are from before the clock was set back.
    DELETE FROM load_marks WHERE at < p_at - interval '2 minutes' OR at > p_at;
    INSERT INTO load_marks (at, busy_seconds) VALUES (p_at, sum_busy_seconds());
END
$$;
