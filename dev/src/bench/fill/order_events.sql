-- The journal, short: an entry for each of the order's versions, the first and the last of them as in life.
INSERT INTO order_events (order_id, seq, type, at, actor, data)
SELECT o.id, e.seq,
       CASE WHEN e.seq = 1 THEN 'order_placed'
            WHEN e.seq = 2 AND o.status = 'PENDING' THEN 'payment_pending'
            WHEN e.seq = 2 AND o.status = 'FAILED' AND o.payment_id IS NULL THEN 'seats_refused'
            WHEN e.seq = 2 AND o.payment_status = 'FAILED' THEN 'payment_failed'
            WHEN e.seq = 2 THEN 'payment_succeeded'
            WHEN e.seq = 3 AND o.status IN ('CONFIRMED', 'REFUNDED') THEN 'seats_allocated'
            WHEN e.seq = 3 THEN 'seats_released'
            ELSE 'payment_refunded' END,
       CASE WHEN e.seq = o.version THEN o.updated_at ELSE o.created_at + (e.seq - 1) * interval '0.1 seconds' END,
       CASE WHEN e.seq = 1 THEN 'client' ELSE 'payment' END,
       CASE WHEN e.seq = 1 THEN jsonb_build_object('seats', o.seats) ELSE '{}' END
FROM bench.placed o CROSS JOIN LATERAL generate_series(1, o.version) AS e (seq)
