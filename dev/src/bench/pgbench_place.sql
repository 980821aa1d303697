-- What placing an order of three seats, whose payment then stays pending, changes in the database: the same rows as
-- insert_order and two calls of apply_transition write, in the same three transactions that wait for the disk or do not as
-- those do, and nothing else. No functions, no look-ups, no documents: the least that PostgreSQL can do for it.
--
-- Needs -M prepared and -D k=0. :k counts the orders of one client; ids and seats are made of it and of the client's
-- number, so that none occurs twice and later orders have higher ids.

\set k :k + 1
\set n 1000000000000000 + :k * 10000 + :client_id
\set user_id 1 + :n % 100000
\set event_id 1 + :client_id * 100000 + :k / 1600
\set seat 1 + :k % 1600 * 3

-- Seats claimed: insert_order.
BEGIN;
SET LOCAL synchronous_commit = off;
INSERT INTO orders (id, idempotency_key, request_hash, user_id, event_id, seats, status, currency, phase,
                    created_at, updated_at, phase_since, expires_at, hold_until, due_at, leased, claimed)
VALUES (lpad(:n, 32, '0')::uuid, lpad(:n, 36, 'bench-'), lpad(:n, 64, '0123456789abcdef'), :user_id, :event_id,
        ARRAY[:seat::int, :seat::int + 1, :seat::int + 2], 'PENDING', 'INR', 'reserving',
        timezone('utc', now()), timezone('utc', now()), timezone('utc', now()), timezone('utc', now()) + '840 seconds',
        timezone('utc', now()) + '870 seconds', timezone('utc', now()) + '10 seconds', true, 3);
INSERT INTO seat_claims (event_id, seat_id, order_id) VALUES
    (:event_id, :seat, lpad(:n, 32, '0')::uuid),
    (:event_id, :seat::int + 1, lpad(:n, 32, '0')::uuid),
    (:event_id, :seat::int + 2, lpad(:n, 32, '0')::uuid);
INSERT INTO order_events (order_id, seq, type, at, actor, data, events, sequence, xid)
VALUES (lpad(:n, 32, '0')::uuid, 1, 'order_placed', timezone('utc', now()), 'client', '{"seats": [1, 2, 3]}',
        '[{"type": "order.placed"}]', 1, pg_current_xact_id());
INSERT INTO order_changes (status, phase) VALUES ('PENDING', 'reserving');
COMMIT;

-- Seats held, prices known: apply_transition to 'charging'. Durable, and the order with it, before the money is asked for.
BEGIN;
UPDATE orders SET version = 2, updated_at = timezone('utc', now()), phase = 'charging', phase_since = timezone('utc', now()),
    hold = 'reserved', subtotal_cents = 75000, tax_cents = 3750, total_cents = 78750,
    due_at = timezone('utc', now()) + '12 seconds', lease = 2
WHERE id = lpad(:n, 32, '0')::uuid;
INSERT INTO order_items (order_id, seat_id, seat_code, seat_price_cents) VALUES
    (lpad(:n, 32, '0')::uuid, :seat, 'A1', 25000),
    (lpad(:n, 32, '0')::uuid, :seat::int + 1, 'A2', 25000),
    (lpad(:n, 32, '0')::uuid, :seat::int + 2, 'A3', 25000);
INSERT INTO order_events (order_id, seq, type, at, actor, data)
VALUES (lpad(:n, 32, '0')::uuid, 2, 'seats_reserved', timezone('utc', now()), 'client', '{}');
INSERT INTO order_changes (was_status, status, was_phase, phase) VALUES ('PENDING', 'PENDING', 'reserving', 'charging');
COMMIT;

-- Charged, and the payment is pending: apply_transition to 'awaiting_payment'.
BEGIN;
SET LOCAL synchronous_commit = off;
UPDATE orders SET version = 3, updated_at = timezone('utc', now()), phase = 'awaiting_payment',
    phase_since = timezone('utc', now()), payment_id = lpad(:n, 32, 'f')::uuid, payment_status = 'PENDING',
    due_at = expires_at, lease = 3, leased = false
WHERE id = lpad(:n, 32, '0')::uuid;
INSERT INTO order_events (order_id, seq, type, at, actor, data)
VALUES (lpad(:n, 32, '0')::uuid, 3, 'payment_pending', timezone('utc', now()), 'client', '{}');
INSERT INTO order_changes (was_status, status, was_phase, phase) VALUES ('PENDING', 'PENDING', 'charging', 'awaiting_payment');
COMMIT;
