-- What disagrees between tables, one line each; nothing when all is well.
SELECT coalesce(string_agg(what || ': ' || n, ', ' ORDER BY what), '') FROM (
    SELECT 'violations' AS what, count(*) AS n FROM order_violations
    UNION ALL
    SELECT 'claims', count(*) FROM orders o
    WHERE o.claimed <> (SELECT count(*) FROM seat_claims c
                        WHERE c.order_id = o.id AND c.event_id = o.event_id AND c.seat_id = ANY (o.seats))
    UNION ALL
    SELECT 'all claims', abs((SELECT sum(claimed) FROM orders) - (SELECT count(*) FROM seat_claims))
    UNION ALL
    SELECT 'tickets', count(*) FROM orders o
    WHERE o.valid_tickets <> (SELECT count(*) FROM tickets t WHERE t.order_id = o.id AND t.voided_at IS NULL)
    UNION ALL
    SELECT 'items', count(*) FROM orders o
    WHERE coalesce(o.subtotal_cents, 0) <> (SELECT coalesce(sum(i.seat_price_cents), 0) FROM order_items i WHERE i.order_id = o.id)
    UNION ALL
    SELECT 'journal', count(*) FROM orders o
    WHERE o.version <> (SELECT count(*) FROM order_events e WHERE e.order_id = o.id AND e.seq <= o.version)
    UNION ALL
    SELECT 'refunds', count(*) FROM orders o
    WHERE (o.payment_status = 'REFUNDED') IS TRUE <> EXISTS (SELECT FROM refunds r WHERE r.order_id = o.id)
    UNION ALL
    SELECT 'orphans', count(*) FROM (
        SELECT order_id FROM order_items UNION SELECT order_id FROM tickets UNION SELECT order_id FROM seat_claims
        UNION SELECT order_id FROM order_events UNION SELECT order_id FROM refunds EXCEPT SELECT id FROM orders) x
    UNION ALL
    SELECT 'counts', count(*) FROM
        (SELECT sum(created) AS created, sum(tickets) AS tickets, sum(pending) AS pending, sum(confirmed) AS confirmed,
                sum(cancelled) AS cancelled, sum(failed) AS failed, sum(refunded) AS refunded,
                sum(awaiting_payment) AS awaiting_payment FROM order_counts) c
    WHERE (c.created, c.pending, c.confirmed, c.cancelled, c.failed, c.refunded, c.awaiting_payment) <>
          (SELECT count(*), count(*) FILTER (WHERE status = 'PENDING'), count(*) FILTER (WHERE status = 'CONFIRMED'),
                  count(*) FILTER (WHERE status = 'CANCELLED'), count(*) FILTER (WHERE status = 'FAILED'),
                  count(*) FILTER (WHERE status = 'REFUNDED'), count(*) FILTER (WHERE phase = 'awaiting_payment') FROM orders)
       OR c.tickets <> (SELECT count(*) FROM tickets)
    UNION ALL
    SELECT 'failures', abs((SELECT sum(value) FROM failure_counts) - (SELECT count(*) FROM orders WHERE failure_code IS NOT NULL))
    UNION ALL
    SELECT 'kinds', count(*) FROM (SELECT FROM orders WHERE status = 'CONFIRMED' HAVING count(*) < 0.8 * (SELECT count(*) FROM orders)) x
) x WHERE n <> 0
