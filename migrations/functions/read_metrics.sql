-- Reads everything that /metrics shows of orders and of the work of all instances.
--
-- Returns JSON text. What should be zero is counted up to ten thousand, over an index that is empty while all is well: a few dozen
-- rows, what was counted within the last second and the ends of some indexes are read, however many orders there are. The queues
-- are read from their low-water marks on: see scan_queues.
-- Locks nothing. Commit: none is needed, it writes nothing.
--
-- For the settings see list_stuck.
CREATE OR REPLACE FUNCTION read_metrics() RETURNS TEXT LANGUAGE sql STABLE SET enable_seqscan = off SET jit = off AS
$$
    WITH scan AS MATERIALIZED (
        SELECT * FROM queue_scans ORDER BY id DESC LIMIT 1
    ), changes AS (
        SELECT * FROM order_change_counts WHERE at >= (SELECT counts_from FROM scan)
    ), flushed AS (
        SELECT c.* FROM work_changes w, jsonb_to_recordset(w.counts) AS c (name TEXT, label TEXT, value DOUBLE PRECISION)
        WHERE w.at >= (SELECT counts_from FROM scan)
    )
    SELECT json_build_object(
        'orders', (SELECT row_to_json(s) FROM (
            SELECT
                sum(created) AS created, sum(tickets) AS tickets, sum(outbox) AS outbox, sum(dead_letters) AS dead_letters,
                sum(pending) AS pending, sum(confirmed) AS confirmed, sum(cancelled) AS cancelled, sum(failed) AS failed,
                sum(refunded) AS refunded, sum(reserving) AS reserving, sum(charging) AS charging,
                sum(awaiting_payment) AS awaiting_payment, sum(allocating) AS allocating, sum(refunding) AS refunding,
                sum(releasing) AS releasing
            FROM (
                SELECT
                    created, tickets, outbox, dead_letters, pending, confirmed, cancelled, failed, refunded, reserving,
                    charging, awaiting_payment, allocating, refunding, releasing
                FROM order_counts
                UNION ALL SELECT
                    created, tickets, outbox, dead_letters, pending, confirmed, cancelled, failed, refunded, reserving,
                    charging, awaiting_payment, allocating, refunding, releasing
                FROM changes) c) s),
        'failures', coalesce((SELECT json_object_agg(code, n) FROM (
            SELECT code, sum(value) AS n FROM (
                SELECT code, value FROM failure_counts
                UNION ALL SELECT failure_code, 1 FROM changes WHERE failure_code IS NOT NULL) c
            GROUP BY code) f), '{}'),
        'parked', (SELECT count(*) FROM (
            SELECT FROM orders WHERE parked_at IS NOT NULL
            UNION ALL
            SELECT FROM payment_refunds WHERE parked_at IS NOT NULL
            LIMIT 10000) x),
        'second_payments', (SELECT count(*) FROM (SELECT FROM payment_refunds WHERE settled_at IS NULL LIMIT 10000) x),
        'violations', json_build_object(
            'paid_without_ticket', (SELECT count(*) FROM (SELECT FROM order_violations WHERE invariant = 'paid_without_ticket' LIMIT 10000) x),
            'ticket_without_payment', (SELECT count(*) FROM (SELECT FROM order_violations WHERE invariant = 'ticket_without_payment' LIMIT 10000) x),
            'claim_of_dead_order', (SELECT count(*) FROM (SELECT FROM order_violations WHERE invariant = 'claim_of_dead_order' LIMIT 10000) x),
            'pending_at_rest', (SELECT count(*) FROM (SELECT FROM order_violations WHERE invariant = 'pending_at_rest' LIMIT 10000) x),
            -- A refund that Payment has accepted is known: it has a day to be made, then it is asked for once more, and an operator hears.
            'refund_unknown', (SELECT count(*) FROM (
                SELECT FROM refunds r JOIN orders o ON o.id = r.order_id
                WHERE r.settled_at IS NULL AND r.requested_at < timezone('utc', now()) - interval '1 minute'
                  AND (o.refund_again_at > timezone('utc', now())) IS NOT TRUE
                UNION ALL
                SELECT FROM payment_refunds
                WHERE settled_at IS NULL AND attempts > 0 AND created_at < timezone('utc', now()) - interval '1 minute'
                  AND (again_at > timezone('utc', now())) IS NOT TRUE AND NOT undecided
                LIMIT 10000) x),
            'overdue', (SELECT count(*) FROM (SELECT FROM orders
                WHERE due_at < timezone('utc', now()) - interval '1 minute' AND due_at >= (SELECT orders_from FROM scan) LIMIT 10000) x)),
        'oldest_due_seconds', coalesce(extract(epoch FROM timezone('utc', clock_timestamp()) - (
            SELECT min(due_at) FROM orders
            -- now() and not clock_timestamp(), which cannot bound a scan of the index: it would pass all that waits.
            WHERE due_at >= (SELECT orders_from FROM scan) AND due_at <= timezone('utc', now()))), 0)::float8,
        'outbox_age_seconds', coalesce(extract(epoch FROM timezone('utc', clock_timestamp()) - (
            SELECT min(created_at) FROM outbox WHERE dead_at IS NULL AND created_at >= (SELECT waiting_from FROM scan))), 0)::float8,
        'sinks', (SELECT json_agg(json_build_object(
            'sink', s.sink,
            'waiting', (SELECT count(*) FROM (SELECT FROM event_deliveries d WHERE d.sink = s.sink AND d.due_at >= (SELECT events_from FROM scan) LIMIT 10000) x),
            'dead', (SELECT count(*) FROM (SELECT FROM event_deliveries d WHERE d.dead_at IS NOT NULL AND d.sink = s.sink LIMIT 10000) x),
            -- What a sink that fails did not take is due later: since when that is so says more.
            'due_seconds', coalesce(extract(epoch FROM timezone('utc', clock_timestamp()) - least(
                (SELECT min(d.due_at) FROM event_deliveries d
                 WHERE d.sink = s.sink AND d.due_at >= (SELECT events_from FROM scan) AND d.due_at <= timezone('utc', now())),
                CASE WHEN EXISTS (SELECT FROM event_deliveries d WHERE d.sink = s.sink AND d.due_at >= (SELECT events_from FROM scan))
                     THEN s.failing_since END)), 0)::float8,
            'off', (s.off_at IS NOT NULL)::int) ORDER BY s.sink) FROM event_sinks s),
        'work', coalesce((SELECT json_agg(w ORDER BY w.name, w.label) FROM (
            SELECT name, label, sum(value) AS value FROM (
                SELECT name, label, value FROM work_counts UNION ALL SELECT name, label, value FROM flushed) c
            GROUP BY name, label) w), '[]'),
        -- Of this database; walsenders, which carry the feedback of standbys, are of none. xact_start is hidden from a role that
        -- has not pg_read_all_stats, where the session is another role's.
        'oldest_snapshot_seconds', coalesce((
            SELECT max(extract(epoch FROM clock_timestamp() - a.xact_start)) FROM pg_stat_activity a
            WHERE a.backend_xmin IS NOT NULL AND a.pid <> pg_backend_pid() AND a.backend_type <> 'autovacuum worker'
              AND (a.datname = current_database() OR a.datname IS NULL)), 0)::float8,
        'oldest_snapshot_transactions', (
            SELECT max(x.age) FROM (
                SELECT 0 AS age
                UNION ALL
                SELECT age(a.backend_xmin) FROM pg_stat_activity a
                WHERE a.pid <> pg_backend_pid() AND a.backend_type <> 'autovacuum worker'
                  AND (a.datname = current_database() OR a.datname IS NULL)
                -- A logical slot has catalog_xmin alone.
                UNION ALL SELECT greatest(age(xmin), age(catalog_xmin)) FROM pg_replication_slots WHERE xmin IS NOT NULL OR catalog_xmin IS NOT NULL
                UNION ALL SELECT age(transaction) FROM pg_prepared_xacts WHERE database = current_database()) x),
        -- At the last scan. Infinite before the first one.
        'oldest_writer_seconds', coalesce((
            SELECT extract(epoch FROM scanned_at - settled_at) FROM scan WHERE isfinite(settled_at) AND scanned_at > settled_at), 0)::float8,
        -- Since when it is the oldest running transaction. Of whatever database; of this service's own it is a moment.
        'updated_since_delay_seconds', coalesce((
            SELECT extract(epoch FROM timezone('utc', clock_timestamp()) - min(at)) FROM change_marks
            WHERE xid = pg_snapshot_xmin(pg_current_snapshot())), 0)::float8,
        -- Of the sequence, which also counts what was rolled back, or of the rows where no sequence belongs to the column.
        'order_items_id_used', (
            SELECT greatest(pg_sequence_last_value(pg_get_serial_sequence('order_items', 'id')::regclass),
                            (SELECT max(id) FROM order_items), 0)
                   / CASE format_type(a.atttypid, NULL) WHEN 'smallint' THEN 32767 WHEN 'integer' THEN 2147483647
                          ELSE 9223372036854775807 END::float8
            FROM pg_attribute a WHERE a.attrelid = 'order_items'::regclass AND a.attname = 'id'),
        'uptime_seconds', coalesce((SELECT extract(epoch FROM timezone('utc', clock_timestamp()) - working_since) FROM scan), 0)::float8
    )::text
$$;
