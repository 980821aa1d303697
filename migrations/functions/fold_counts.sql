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
            DELETE FROM order_changes WHERE ctid = ANY (batch)
            RETURNING was_status, status, was_phase, phase, failure_code, tickets, outbox, dead_letters
        ), kinds AS MATERIALIZED (
            -- What the view order_change_counts computes for each change is computed for each kind: there are few.
            SELECT was_status, status, was_phase, phase, failure_code, count(*) AS n,
                   sum(tickets) AS tickets, sum(outbox) AS outbox, sum(dead_letters) AS dead_letters
            FROM gone GROUP BY was_status, status, was_phase, phase, failure_code
        ), failures AS (
            INSERT INTO failure_counts AS f (shard, code, value)
            SELECT this_shard, failure_code, sum(n) FROM kinds WHERE failure_code IS NOT NULL GROUP BY failure_code
            ON CONFLICT (shard, code) DO UPDATE SET value = f.value + excluded.value
        ), totals AS (
            SELECT sum(n) FILTER (WHERE was_status IS NULL AND status IS NOT NULL) AS created,
                   sum(tickets) AS tickets, sum(outbox) AS outbox, sum(dead_letters) AS dead_letters
            FROM kinds HAVING count(*) > 0
        ), moves AS (
            SELECT
                sum(d.n) FILTER (WHERE d.name = 'pending') AS pending,
                sum(d.n) FILTER (WHERE d.name = 'confirmed') AS confirmed,
                sum(d.n) FILTER (WHERE d.name = 'cancelled') AS cancelled,
                sum(d.n) FILTER (WHERE d.name = 'failed') AS failed,
                sum(d.n) FILTER (WHERE d.name = 'refunded') AS refunded,
                sum(d.n) FILTER (WHERE d.name = 'reserving') AS reserving,
                sum(d.n) FILTER (WHERE d.name = 'charging') AS charging,
                sum(d.n) FILTER (WHERE d.name = 'awaiting_payment') AS awaiting_payment,
                sum(d.n) FILTER (WHERE d.name = 'allocating') AS allocating,
                sum(d.n) FILTER (WHERE d.name = 'refunding') AS refunding,
                sum(d.n) FILTER (WHERE d.name = 'releasing') AS releasing
            FROM kinds, LATERAL (
                VALUES (lower(was_status), -n), (lower(status), n), (was_phase, -n), (phase, n)) AS d (name, n)
        )
        UPDATE order_counts c SET
            created = c.created + coalesce(t.created, 0),
            tickets = c.tickets + t.tickets,
            outbox = c.outbox + t.outbox,
            dead_letters = c.dead_letters + t.dead_letters,
            pending = c.pending + coalesce(m.pending, 0),
            confirmed = c.confirmed + coalesce(m.confirmed, 0),
            cancelled = c.cancelled + coalesce(m.cancelled, 0),
            failed = c.failed + coalesce(m.failed, 0),
            refunded = c.refunded + coalesce(m.refunded, 0),
            reserving = c.reserving + coalesce(m.reserving, 0),
            charging = c.charging + coalesce(m.charging, 0),
            awaiting_payment = c.awaiting_payment + coalesce(m.awaiting_payment, 0),
            allocating = c.allocating + coalesce(m.allocating, 0),
            refunding = c.refunding + coalesce(m.refunding, 0),
            releasing = c.releasing + coalesce(m.releasing, 0)
        FROM totals t, moves m WHERE c.shard = this_shard;
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
