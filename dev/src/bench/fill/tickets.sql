-- What was sold has tickets; they are void once the money went back.
INSERT INTO tickets (id, order_id, seat_id, ticket_code, issued_at, voided_at)
SELECT bench.uuid(o.created_at, concat(o.idempotency_key, ' ', s)), o.id, s,
       'TKT-' || upper(left(md5(concat(o.idempotency_key, ' ticket ', s)), 27)),
       o.created_at + interval '0.3 seconds', CASE WHEN o.status = 'REFUNDED' THEN o.updated_at END
FROM bench.placed o CROSS JOIN LATERAL unnest(o.seats) AS s
WHERE o.status IN ('CONFIRMED', 'REFUNDED')
