-- Scans the queues for due work, if nobody has within the last second, and folds what was counted into the totals. Called by
-- flush_work: a database is scanned once a second, however many instances there are.
--
-- A scan begins at low-water marks, so that its cost does not grow with the index entries that died since the oldest snapshot was
-- taken. A mark never passes a live entry:
--   - an entry that a scan sees bounds it;
--   - one that it does not see is of a transaction whose number is younger than settled_at, because all earlier ones that write here
--     have ended. Functions write no due time before their own beginning, or one that was there before; a statement lasts for 3 s at
--     most (statement_timeout), and 4 s are allowed for. The same holds of what is counted;
--   - a writing transaction that stays open holds the marks for ten seconds, because what died since would be visited by every scan.
--     Then the marks pass it (has_passed_writer), and when it has ended, a full scan finds what it has written;
--   - what is written by hand with a due time in the past is found by the next full scan, which begins at the beginning of the queues.
--     A row of queue_resets asks for one, and until then the claims begin there.
-- While a full scan is cheap the queues have no marks and every scan is full. Then it is repeated so seldom that it visits a thousand
-- entries a second on average, or after 15 minutes. One that is not finished in time leaves everything as it was, so that what made it
-- due is looked for again, a minute later; until then scans and claims begin at the marks.
--
-- What is counted is folded last: due work is found, whatever becomes of that.
--
-- Returns the scan's row; NULL when another scan is so recent, or at work.
-- Locks: the advisory lock of the scans until the transaction ends, which it does not wait for. Who has it writes rows that nobody
-- else writes.
-- Commit: the caller's.
CREATE OR REPLACE FUNCTION scan_queues(p_at TIMESTAMP) RETURNS queue_scans LANGUAGE plpgsql AS
$$
DECLARE
    cheap CONSTANT BIGINT := 256;
    last queue_scans;
    scan queue_scans;
    full_scan queue_scans;
    oldest_writer xid8;
    settled TIMESTAMP;
    visited BIGINT;
    has_ended BOOLEAN;
    is_wanted BOOLEAN;
    full_interval INTERVAL;
    is_in_time BOOLEAN := true;
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
    -- The transaction began before its number was assigned, and so before all that have higher ones have theirs.
    scan.writer := pg_current_xact_id();
    scan.writer_at := timezone('utc', now());
    oldest_writer := find_oldest_writer();
    IF scan.writer <= oldest_writer THEN
        scan.settled_at := scan.writer_at;
    ELSIF last.writer < oldest_writer THEN
        scan.settled_at := last.writer_at;
    ELSE
        scan.writer := last.writer;
        scan.writer_at := last.writer_at;
    END IF;
    -- Not after now, where the clock was set back.
    scan.settled_at := least(scan.settled_at, timezone('utc', now()));
    settled := greatest(scan.settled_at, timezone('utc', now()) - interval '10 seconds') - interval '4 seconds';
    scan.has_passed_writer := last.has_passed_writer OR scan.settled_at < timezone('utc', now()) - interval '10 seconds';

    -- Something was written in the past, or a writer has ended that the marks have passed.
    has_ended := last.has_passed_writer AND scan.settled_at > last.settled_at;
    is_wanted := has_ended OR EXISTS (SELECT FROM queue_resets);
    full_interval := least(last.full_entries * interval '1 millisecond', CASE WHEN is_wanted THEN interval '1 minute' ELSE interval '15 minutes' END);
    -- Or the clock was set back; or a full scan is cheap, or is due again.
    IF is_wanted AND NOT last.full_failed OR p_at < last.scanned_at OR last.full_entries < cheap
        OR p_at >= last.full_at + full_interval THEN
        scan.full_at := p_at;
        full_scan := scan;
        full_scan.orders_from := '-infinity';
        full_scan.refunds_from := '-infinity';
        full_scan.messages_from := '-infinity';
        full_scan.waiting_from := '-infinity';
        full_scan.events_from := '-infinity';
        BEGIN
            -- Before the queues are read: what is deleted here has been committed, and will be seen.
            DELETE FROM queue_resets;
            visited := count_visited_entries();
            full_scan := find_due(full_scan, settled);
            full_scan.full_entries := count_visited_entries() - visited;
            IF full_scan.full_entries < cheap THEN
                full_scan.orders_from := '-infinity';
                full_scan.refunds_from := '-infinity';
                full_scan.messages_from := '-infinity';
                full_scan.waiting_from := '-infinity';
                full_scan.events_from := '-infinity';
            END IF;
            scan := full_scan;
            scan.full_failed := false;
            scan.has_passed_writer := scan.settled_at < timezone('utc', now()) - interval '10 seconds';
        EXCEPTION WHEN query_canceled THEN
            -- It takes longer than statement_timeout. The deletion is undone.
            RAISE WARNING 'the queues could not be read from their beginning within statement_timeout';
            is_in_time := false;
            scan.full_entries := greatest(last.full_entries, 1000000);
            scan.full_failed := true;
            scan := find_due(scan, settled);
        END;
    ELSE
        scan := find_due(scan, settled);
    END IF;

    IF is_in_time THEN
        full_scan := scan;
        -- What it has counted was committed late.
        IF p_at < last.scanned_at OR has_ended AND scan.full_at = p_at THEN
            full_scan.counts_from := '-infinity';
        END IF;
        BEGIN
            full_scan := fold_counts(full_scan, settled);
            -- From where the last scan ended, and a little before, for those that were committed late.
            DELETE FROM work_flushes f WHERE f.at >= last.scanned_at - interval '3 minutes' AND f.at < p_at - interval '2 minutes';
            scan := full_scan;
        EXCEPTION WHEN query_canceled OR OTHERS THEN
            RAISE WARNING 'what was counted could not be folded: %', SQLERRM;
            scan.full_failed := scan.full_failed OR last.has_passed_writer;
            scan.has_passed_writer := scan.has_passed_writer OR last.has_passed_writer;
        END;
    END IF;
    INSERT INTO queue_scans VALUES (scan.*);
    DELETE FROM queue_scans WHERE id = last.id;
    PERFORM mark_changes(scan.id);
    RETURN scan;
END
$$;
