-- Lists the orders and dead letters that need an operator, with the reason: at most p_limit of each.
--
-- Returns JSON text {orders, messages, truncated}. An order is listed once for each of its reasons.
-- Locks nothing. Commit: none is needed, it writes nothing.
--
-- enable_seqscan = off: the planner overestimates rows that should not exist, and would read all orders instead of an empty index.
-- jit = off: the cost that the planner puts on sequential scans of the small tables would trigger a compilation.
CREATE OR REPLACE FUNCTION list_stuck(p_limit INT) RETURNS TEXT LANGUAGE sql STABLE SET enable_seqscan = off SET jit = off AS
$$
    WITH reasons AS (
        (SELECT id, 'no_answer' AS why, parked_at AS since, parked_reason AS reason
         FROM orders WHERE parked_at IS NOT NULL ORDER BY parked_at LIMIT p_limit + 1)
        UNION ALL
        (SELECT id, 'overdue', due_at, 'nobody has swept it'
         FROM orders WHERE due_at < timezone('utc', now()) - interval '10 minutes'
             AND due_at >= (SELECT orders_from FROM queue_scans ORDER BY id DESC LIMIT 1) ORDER BY due_at LIMIT p_limit + 1)
        UNION ALL
        (SELECT id, invariant, since, reason FROM order_violations ORDER BY since LIMIT p_limit + 1)
        UNION ALL
        (SELECT order_id, 'second_payment', parked_at,
            parked_reason || coalesce(' (payment ' || coalesce(payment_id, told_payment_id) || ')', '')
         FROM payment_refunds WHERE parked_at IS NOT NULL ORDER BY parked_at LIMIT p_limit + 1)
        UNION ALL
        (SELECT order_id, 'overdue', due_at, 'nobody has refunded its second payment'
         FROM payment_refunds WHERE due_at < timezone('utc', now()) - interval '10 minutes'
             AND due_at >= (SELECT refunds_from FROM queue_scans ORDER BY id DESC LIMIT 1) ORDER BY due_at LIMIT p_limit + 1)
    ), dead AS (
        SELECT * FROM outbox WHERE dead_at IS NOT NULL ORDER BY dead_at LIMIT p_limit + 1
    )
    SELECT json_build_object(
        'orders', coalesce((
            SELECT json_agg(json_build_object('order_id', o.id, 'why', r.why, 'status', o.status, 'phase', o.phase,
                'attempts', o.attempts, 'since', format_time(r.since), 'reason', r.reason) ORDER BY r.since, o.id)
            FROM (SELECT * FROM reasons ORDER BY since LIMIT p_limit) r JOIN orders o ON o.id = r.id), '[]'),
        'messages', coalesce((
            SELECT json_agg(json_build_object('message_id', d.id, 'order_id', d.order_id, 'type', d.kind,
                'attempts', d.attempts, 'dead_since', format_time(d.dead_at), 'reason', d.last_error) ORDER BY d.dead_at, d.id)
            FROM (SELECT * FROM dead ORDER BY dead_at LIMIT p_limit) d), '[]'),
        'truncated', (SELECT count(*) FROM reasons) > p_limit OR (SELECT count(*) FROM dead) > p_limit
    )::text
$$;
