-- Folds order_changes into order_counts and failure_counts, and work_changes into one row or, once a minute, into work_counts.
-- Called by scan_queues, at which only one transaction at a time is.
--
-- What is folded is deleted by the same statement: nothing is counted twice or lost, whoever else folds, and a reader sees a change
-- either in the totals or beside them. counts_from only tells where to begin: what is not seen now is not before p_settled. A batch
-- is bounded, because a statement's time is.
--
-- Returns the scan with counts_from and folded_at.
-- Locks: the changes, then rows of the totals, which nobody else updates.
-- Commit: the caller's.
CREATE OR REPLACE FUNCTION fold_counts(scan queue_scans, p_settled TIMESTAMP) RETURNS queue_scans LANGUAGE plpgsql AS
$$
DECLARE
    batch_limit CONSTANT INT := 20000;
    begin_at TIMESTAMP := scan.counts_from;
    is_minute BOOLEAN := scan.scanned_at < scan.folded_at OR scan.scanned_at >= scan.folded_at + interval '1 minute';
    -- Each row of order_counts is updated once in 64 scans, so that its versions do not pile up under an old snapshot.
    this_shard INT := scan.id % 64;
    batch TID[];
    batch_end TIMESTAMP;
    merged JSONB;
BEGIN
    scan.counts_from := greatest(begin_at, p_settled);

    SELECT array_agg(c.ctid), max(c.at) INTO batch, batch_end
    FROM (SELECT ctid, at FROM order_changes WHERE at >= begin_at ORDER BY at LIMIT batch_limit) c;
    IF batch IS NOT NULL THEN
        IF cardinality(batch) = batch_limit AND batch_end < scan.counts_from THEN
            scan.counts_from := batch_end;
        END IF;
        WITH gone AS (
            DELETE FROM order_change_counts WHERE location = ANY (batch) RETURNING *
        ), failures AS (
            INSERT INTO failure_counts AS f (shard, code, value)
            SELECT this_shard, failure_code, count(*) FROM gone WHERE failure_code IS NOT NULL GROUP BY failure_code
            ON CONFLICT (shard, code) DO UPDATE SET value = f.value + excluded.value
        ), sums AS (
            SELECT
                   sum(created) AS created, sum(tickets) AS tickets, sum(outbox) AS outbox,
                   sum(dead_letters) AS dead_letters, sum(pending) AS pending, sum(confirmed) AS confirmed,
                   sum(cancelled) AS cancelled, sum(failed) AS failed, sum(refunded) AS refunded,
                   sum(reserving) AS reserving, sum(charging) AS charging, sum(awaiting_payment) AS awaiting_payment,
                   sum(allocating) AS allocating, sum(refunding) AS refunding, sum(releasing) AS releasing
            FROM gone HAVING count(*) > 0
        )
        UPDATE order_counts c SET
            created = c.created + s.created,
            tickets = c.tickets + s.tickets,
            outbox = c.outbox + s.outbox,
            dead_letters = c.dead_letters + s.dead_letters,
            pending = c.pending + s.pending,
            confirmed = c.confirmed + s.confirmed,
            cancelled = c.cancelled + s.cancelled,
            failed = c.failed + s.failed,
            refunded = c.refunded + s.refunded,
            reserving = c.reserving + s.reserving,
            charging = c.charging + s.charging,
            awaiting_payment = c.awaiting_payment + s.awaiting_payment,
            allocating = c.allocating + s.allocating,
            refunding = c.refunding + s.refunding,
            releasing = c.releasing + s.releasing
        FROM sums s WHERE c.shard = this_shard;
    END IF;

    SELECT array_agg(c.ctid), max(c.at) INTO batch, batch_end
    FROM (SELECT ctid, at FROM work_changes WHERE at >= begin_at ORDER BY at LIMIT batch_limit / 10) c;
    IF cardinality(batch) = batch_limit / 10 AND batch_end < scan.counts_from THEN
        scan.counts_from := batch_end;
    END IF;
    IF is_minute THEN
        scan.folded_at := scan.scanned_at;
        WITH gone AS (
            DELETE FROM work_changes WHERE ctid = ANY (batch) RETURNING counts
        )
        INSERT INTO work_counts AS w (name, label, value)
        SELECT c.name, c.label, sum(c.value)
        FROM gone, jsonb_to_recordset(gone.counts) AS c (name TEXT, label TEXT, value DOUBLE PRECISION)
        GROUP BY c.name, c.label
        ON CONFLICT (name, label) DO UPDATE SET value = w.value + excluded.value;
    ELSIF batch IS NOT NULL THEN
        WITH gone AS (
            DELETE FROM work_changes WHERE ctid = ANY (batch) RETURNING counts
        ), sums AS (
            SELECT c.name, c.label, sum(c.value) AS value
            FROM gone, jsonb_to_recordset(gone.counts) AS c (name TEXT, label TEXT, value DOUBLE PRECISION)
            GROUP BY c.name, c.label
        )
        SELECT jsonb_agg(s) INTO merged FROM sums s;
        -- It is of now, which is not before p_settled: the next scan finds it.
        INSERT INTO work_changes (counts) SELECT merged WHERE merged IS NOT NULL;
    END IF;
    RETURN scan;
END
$$;
