-- Each order of the plan as its life left it.
INSERT INTO orders (id, idempotency_key, request_hash, user_id, event_id, seats, currency, created_at,
                    status, phase, hold, failure_code, failure_detail, subtotal_cents, tax_cents, total_cents,
                    payment_id, payment_status, updated_at, phase_since, expires_at, hold_until, due_at,
                    version, lease, leased, given_up, valid_tickets, claimed)
SELECT bench.uuid(p.created_at, p.key), p.key,
       encode(sha256(convert_to(concat(p.user_id, '|', p.event_id, '|', array_to_string(p.seats, ',')), 'UTF8')), 'hex'),
       p.user_id, p.event_id, p.seats, 'INR', p.created_at,
       l.status, l.phase, l.hold, l.failure_code, l.failure_detail,
       CASE WHEN l.reserved THEN price * cardinality(p.seats) END,
       CASE WHEN l.reserved THEN price * cardinality(p.seats) / 20 END,
       CASE WHEN l.reserved THEN price * cardinality(p.seats) + price * cardinality(p.seats) / 20 END,
       CASE WHEN l.reserved THEN bench.uuid(p.created_at, 'payment of ' || p.key) END, l.payment_status,
       p.created_at + l.took, p.created_at + l.took,
       coalesce(p.waits_until, p.created_at + interval '840 seconds'),
       coalesce(p.waits_until, p.created_at + interval '840 seconds') + interval '30 seconds',
       p.waits_until, l.version, l.version, false, l.given_up,
       CASE WHEN l.status = 'CONFIRMED' THEN cardinality(p.seats) ELSE 0 END,
       CASE WHEN l.status IN ('CONFIRMED', 'PENDING') THEN cardinality(p.seats) ELSE 0 END
FROM (
    SELECT p.n, p.key, p.life, p.created_at, CASE WHEN p.life = 'waiting' THEN p.waits_until END AS waits_until,
           p.user_id, p.event_id, p.seats, 10000 + p.event_id % 10 * 2500 AS price
    FROM bench.plan p
) p
JOIN (VALUES
    ('confirmed',   'CONFIRMED', 'done', 'allocated', NULL, NULL, true, 'SUCCESS', interval '0.3 seconds', 3, false),
    ('waiting',     'PENDING', 'awaiting_payment', 'reserved', NULL, NULL, true, 'PENDING', '0.2 seconds', 2, false),
    ('expired',     'CANCELLED', 'done', 'none', 'expired', 'The order was not paid in time.', true, 'FAILED', '841 seconds', 3, false),
    ('cancelled',   'CANCELLED', 'done', 'none', NULL, NULL, true, 'FAILED', '90 seconds', 3, true),
    ('unavailable', 'FAILED', 'done', 'none', 'seats_unavailable', 'One or more of the seats are taken.', false, NULL, '0.1 seconds', 2, false),
    ('declined',    'FAILED', 'done', 'none', 'payment_declined', 'The payment was declined.', true, 'FAILED', '0.4 seconds', 3, false),
    ('refunded',    'REFUNDED', 'done', 'none', NULL, NULL, true, 'REFUNDED', '2 days', 4, true)
) l (life, status, phase, hold, failure_code, failure_detail, reserved, payment_status, took, version, given_up)
ON l.life = p.life
