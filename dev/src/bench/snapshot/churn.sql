-- An order's life through the service's own functions: placed, held, charged, declined in the end, its seats free again, its
-- message delivered. Nothing of it stays in a queue: each step leaves dead index entries behind.
--
-- Needs -M prepared and -D k=0. :k counts the orders of one client; ids and seats are made of it and of the client's number.

\set k :k + 1
\set n 3000000000000000 + :k * 10000 + :client_id
\set event_id 1000 + :client_id
\set seat 1 + :k * 3

SELECT insert_order(lpad(:n, 32, '0')::uuid, lpad(:n, 36, 'churn-'), lpad(:n, 64, '0123456789abcdef'), 7, :event_id::int,
    ARRAY[:seat::int, :seat::int + 1, :seat::int + 2], 'INR', 840, 870, 10000, NULL, NULL);
SELECT apply_transition(lpad(:n, 32, '0')::uuid, 1, 1, 'PENDING', 'reserving', 'PENDING', 'charging', 'reserved', 0, NULL, NULL,
    false, false, false, 'in', 12000, true, 75000, 3750, 78750, ARRAY['A1', 'A2', 'A3'], ARRAY[25000, 25000, 25000], NULL, NULL,
    'seats_reserved', 'client', '{}', NULL, false);
SELECT apply_transition(lpad(:n, 32, '0')::uuid, 2, 2, 'PENDING', 'charging', 'PENDING', 'awaiting_payment', 'reserved', 0,
    lpad(:n, 32, 'f')::uuid, 'PENDING', false, false, false, 'in', 2000, false, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    'payment_pending', 'client', '{}', NULL, true);
SELECT apply_transition(lpad(:n, 32, '0')::uuid, 3, 3, 'PENDING', 'awaiting_payment', 'FAILED', 'releasing', 'reserved', 0,
    lpad(:n, 32, 'f')::uuid, 'FAILED', false, true, false, 'in', 13000, true, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    'payment_failed', 'payment', '{}', jsonb_build_object('failure_code', 'payment_declined', 'failure_is_new', true,
        'message', jsonb_build_object('id', lpad(:n, 32, 'e')::uuid, 'kind', 'ORDER_FAILED', 'payload', '{}', 'lease_ms', 6000)),
    false);
SELECT apply_transition(lpad(:n, 32, '0')::uuid, 4, 4, 'FAILED', 'releasing', 'FAILED', 'done', 'none', 0,
    lpad(:n, 32, 'f')::uuid, 'FAILED', false, true, false, 'never', 0, false, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    'seats_released', 'payment', '{}', '{"failure_code": "payment_declined", "claims": "drop"}', false);
SELECT delete_message(lpad(:n, 32, 'e')::uuid);
