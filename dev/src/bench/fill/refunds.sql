-- Where the money went back.
INSERT INTO refunds (order_id, payment_id, amount_cents, reason, requested_at, settled_at, outcome)
SELECT o.id, o.payment_id, o.total_cents, 'refund_requested', o.updated_at - interval '1 second', o.updated_at, 'REFUNDED'
FROM bench.placed o WHERE o.status = 'REFUNDED'
