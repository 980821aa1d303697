-- Whose orders live have claims.
INSERT INTO seat_claims (event_id, seat_id, order_id)
SELECT o.event_id, s, o.id
FROM bench.placed o CROSS JOIN LATERAL unnest(o.seats) AS s
WHERE o.claimed > 0
