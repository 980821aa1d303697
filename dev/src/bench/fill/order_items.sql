-- What was reserved has names and prices.
INSERT INTO order_items (order_id, seat_id, seat_code, seat_price_cents)
SELECT o.id, s, 'S' || s, o.subtotal_cents / cardinality(o.seats)
FROM bench.placed o CROSS JOIN LATERAL unnest(o.seats) AS s
WHERE o.subtotal_cents IS NOT NULL
