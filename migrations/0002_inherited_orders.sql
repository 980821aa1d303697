-- Inherited orders: what the service before this one sold stays sold. In an empty database this changes nothing. Before the
-- rules of 0003, because these rows were written under no such rules.
SET LOCAL lock_timeout = '2s';

-- Each order is written once at most. Two orders that sold the same seat both keep their tickets; the older one has the claim.
WITH had (order_id, seat_id, is_ticket) AS (
    SELECT order_id, seat_id, false FROM order_items WHERE seat_id IS NOT NULL
    UNION ALL
    SELECT order_id, seat_id, true FROM tickets WHERE seat_id IS NOT NULL
), seats AS (
    SELECT o.id, o.event_id, o.status, o.created_at, array_agg(DISTINCT had.seat_id ORDER BY had.seat_id) AS ids
    FROM orders o JOIN had ON had.order_id = o.id
    WHERE o.status = 'CONFIRMED' OR NOT had.is_ticket
    GROUP BY o.id
), claims AS (
    INSERT INTO seat_claims (event_id, seat_id, order_id)
    SELECT s.event_id, seat.id, s.id
    FROM seats s CROSS JOIN LATERAL unnest(s.ids) AS seat (id)
    WHERE s.status = 'CONFIRMED' AND s.event_id IS NOT NULL
    ORDER BY s.created_at, s.id
    ON CONFLICT DO NOTHING
    RETURNING order_id
)
UPDATE orders o SET
    seats = coalesce(s.ids, o.seats),
    hold = CASE WHEN o.status = 'CONFIRMED' AND s.ids IS NOT NULL THEN 'allocated' ELSE o.hold END,
    valid_tickets = coalesce(t.n, 0),
    claimed = coalesce(c.n, 0)
FROM orders x
LEFT JOIN seats s ON s.id = x.id
LEFT JOIN (SELECT order_id, count(*) AS n FROM tickets GROUP BY order_id) t ON t.order_id = x.id
LEFT JOIN (SELECT order_id, count(*) AS n FROM claims GROUP BY order_id) c ON c.order_id = x.id
WHERE o.id = x.id AND (s.ids IS NOT NULL OR t.n IS NOT NULL);

UPDATE order_counts SET
    created   = (SELECT count(*) FROM orders),
    tickets   = (SELECT count(*) FROM tickets),
    pending   = (SELECT count(*) FROM orders WHERE status = 'PENDING'),
    confirmed = (SELECT count(*) FROM orders WHERE status = 'CONFIRMED'),
    cancelled = (SELECT count(*) FROM orders WHERE status = 'CANCELLED'),
    failed    = (SELECT count(*) FROM orders WHERE status = 'FAILED'),
    refunded  = (SELECT count(*) FROM orders WHERE status = 'REFUNDED')
WHERE shard = 0;

INSERT INTO failure_counts (shard, code, value)
SELECT 0, 'order_failed', count(*) FROM orders WHERE status = 'FAILED' HAVING count(*) > 0;

INSERT INTO schema_migrations (version) VALUES ('0002_inherited_orders');
