-- Notes which transactions have ended by now, for lists of what has changed since a time. Called by scan_queues, once a second while
-- there is work, with the number of the scan.
--
-- Of the marks of ten minutes all are kept, of a day the first one of each minute, of 60 days the first one of each hour.
--
-- Returns nothing.
-- Locks: new rows, and old ones that it deletes; the caller is the only one at it.
-- Commit: the caller's.
CREATE OR REPLACE FUNCTION mark_changes(p_id BIGINT) RETURNS VOID LANGUAGE plpgsql AS
$$
DECLARE
    -- First the number, then the time: by then they have ended.
    horizon CONSTANT XID8 := pg_snapshot_xmin(pg_current_snapshot());
    now_at CONSTANT TIMESTAMP := timezone('utc', clock_timestamp());
    last_at CONSTANT TIMESTAMP := (SELECT at FROM change_marks ORDER BY id DESC LIMIT 1);
    level INT := CASE WHEN date_trunc('hour', last_at) = date_trunc('hour', now_at)
        THEN (date_trunc('minute', last_at) <> date_trunc('minute', now_at))::int ELSE 2 END;
BEGIN
    INSERT INTO change_marks (id, at, xid, level) VALUES (p_id, now_at, horizon, level);
    IF level > 0 THEN
        DELETE FROM change_marks m WHERE m.at < now_at - CASE m.level
            WHEN 0 THEN interval '10 minutes' WHEN 1 THEN interval '1 day' ELSE interval '60 days' END;
    END IF;
END
$$;
