-- Scans the queues for due work, if nobody has within the last second, and folds what was counted into the totals. Called by
-- flush_work: a database is scanned once a second, however many instances there are.
--
-- A scan begins at low-water marks (find_due), so that its cost does not grow with the index entries that died since the oldest
-- snapshot was taken. A mark never passes a live entry:
--   - an entry that a scan sees bounds it;
--   - one that it does not see is of a transaction that began after settled_at, because all earlier ones have ended. Functions
--     write no due time before their own beginning, or one that was there before; a statement lasts for 3 s at most
--     (statement_timeout), and 4 s are allowed for;
--   - what is written by hand with a due time in the past makes the next scan a full one, which begins at the beginning of the
--     queues (triggers, queue_resets), and until then the claims begin there.
-- While a full scan is cheap there are no marks and every scan is full. Then it is repeated so seldom that it visits a hundred
-- entries a second on average, or after 15 minutes.
--
-- Returns the scan's row; NULL when another scan is so recent, or at work.
-- Locks: the advisory lock of the scans until the transaction ends, which it does not wait for. Who has it writes rows that nobody
-- else writes.
-- Commit: the caller's.
CREATE OR REPLACE FUNCTION scan_queues(p_at TIMESTAMP) RETURNS queue_scans LANGUAGE plpgsql AS
$$
DECLARE
    last queue_scans;
    scan queue_scans;
    horizon xid8;
    is_reset BOOLEAN;
BEGIN
    SELECT * INTO last FROM queue_scans ORDER BY id DESC LIMIT 1;
    IF last.scanned_at > p_at - interval '1 second' AND last.scanned_at < p_at + interval '1 second'
        OR NOT pg_try_advisory_xact_lock(122537101324916) THEN
        RETURN NULL;
    END IF;
    -- Another scan may have ended meanwhile.
    SELECT * INTO last FROM queue_scans ORDER BY id DESC LIMIT 1;
    IF last.scanned_at > p_at - interval '1 second' AND last.scanned_at < p_at + interval '1 second' THEN
        RETURN NULL;
    END IF;

    scan := last;
    scan.id := last.id + 1;
    scan.scanned_at := p_at;
    IF last.scanned_at < p_at - interval '1 minute' THEN
        scan.working_since := p_at;
    END IF;
    -- The transaction began before its number was assigned, and so before all that have higher ones.
    scan.writer := pg_current_xact_id();
    scan.writer_at := timezone('utc', now());
    horizon := pg_snapshot_xmin(pg_current_snapshot());
    IF last.writer < horizon THEN
        scan.settled_at := last.writer_at;
    ELSIF last.writer < scan.writer THEN
        scan.writer := last.writer;
        scan.writer_at := last.writer_at;
    END IF;
    -- Not after now, where the clock was set back.
    scan.settled_at := least(scan.settled_at, timezone('utc', now()));

    scan := fold_counts(scan, horizon);
    -- Before the queues are read: what is deleted here has been committed, and will be seen.
    DELETE FROM queue_resets;
    is_reset := FOUND;
    -- Something was written in the past; or the clock was set back; or a full scan is cheap, or is due again.
    IF is_reset OR p_at < last.scanned_at OR last.full_entries < 256
        OR p_at >= last.full_at + least(last.full_entries * interval '10 milliseconds', interval '15 minutes') THEN
        BEGIN
            scan := find_due(scan, true);
        EXCEPTION WHEN query_canceled THEN
            -- It takes longer than statement_timeout.
            scan.full_at := p_at;
            scan.full_entries := greatest(last.full_entries, 1000000);
            scan := find_due(scan, false);
        END;
    ELSE
        scan := find_due(scan, false);
    END IF;
    INSERT INTO queue_scans VALUES (scan.*);
    DELETE FROM queue_scans WHERE id = last.id;
    RETURN scan;
END
$$;
