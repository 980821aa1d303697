-- Reads everything that /metrics shows of orders and of the work of all instances.
--
-- Returns JSON text. What should be zero is counted up to ten thousand, over an index that is empty while all is well: a few dozen
-- rows and the ends of some indexes are read, however many orders there are.
-- Locks nothing. Commit: none is needed, it writes nothing.
--
-- For the settings see list_stuck.
CREATE OR REPLACE FUNCTION read_metrics() RETURNS TEXT LANGUAGE sql STABLE SET enable_seqscan = off SET jit = off AS
$$
    SELECT json_build_object(
        'orders', (SELECT row_to_json(s) FROM (
            SELECT sum(created) AS created, sum(tickets) AS tickets, sum(outbox) AS outbox, sum(dead_letters) AS dead_letters,
                   sum(pending) AS pending, sum(confirmed) AS confirmed, sum(cancelled) AS cancelled, sum(failed) AS failed,
                   sum(refunded) AS refunded, sum(reserving) AS reserving, sum(charging) AS charging,
                   sum(awaiting_payment) AS awaiting_payment, sum(allocating) AS allocating, sum(refunding) AS refunding,
                   sum(releasing) AS releasing
            FROM order_counts) s),
        'failures', coalesce((SELECT json_object_agg(code, n) FROM (SELECT code, sum(value) AS n FROM failure_counts GROUP BY code) f), '{}'),
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
            -- A refund that Payment has accepted is known; it has a day to be made.
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
                WHERE due_at < timezone('utc', now()) - interval '1 minute' LIMIT 10000) x)),
        'oldest_due_seconds', coalesce(greatest(0, extract(epoch FROM timezone('utc', clock_timestamp()) - (SELECT min(due_at) FROM orders WHERE due_at IS NOT NULL))), 0)::float8,
        'outbox_age_seconds', coalesce(extract(epoch FROM timezone('utc', clock_timestamp()) - (SELECT min(created_at) FROM outbox WHERE dead_at IS NULL)), 0)::float8,
        'work', coalesce((SELECT json_agg(w ORDER BY w.name, w.label) FROM work_counts w), '[]'),
        -- Of the sequence, which also counts what was rolled back, or of the rows where no sequence belongs to the column.
        'order_items_id_used', (
            SELECT greatest(pg_sequence_last_value(pg_get_serial_sequence('order_items', 'id')::regclass),
                            (SELECT max(id) FROM order_items), 0)
                   / CASE format_type(a.atttypid, NULL) WHEN 'smallint' THEN 32767 WHEN 'integer' THEN 2147483647
                          ELSE 9223372036854775807 END::float8
            FROM pg_attribute a WHERE a.attrelid = 'order_items'::regclass AND a.attname = 'id'),
        'uptime_seconds', coalesce((SELECT extract(epoch FROM timezone('utc', clock_timestamp()) - started_at) FROM heartbeat), 0)::float8
    )::text
$$;
