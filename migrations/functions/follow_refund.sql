-- Keeps the row of an order's refund: inserts it when the order enters the phase 'refunding', and settles it when Payment has
-- reported the outcome. Called by apply_transition, with the order as it is now and its phase and payment status before.
--
-- Returns nothing; when the transition does not concern a refund, nothing is written.
-- Locks: the order's row of refunds.
-- Commit: the caller's.
CREATE OR REPLACE FUNCTION follow_refund(o orders, p_old_phase TEXT, p_old_payment TEXT, p_event TEXT, p_at TIMESTAMP)
RETURNS VOID LANGUAGE plpgsql AS
$$
BEGIN
    IF o.phase = 'refunding' AND p_old_phase <> 'refunding' THEN
        INSERT INTO refunds AS r (order_id, payment_id, amount_cents, reason, requested_at)
        VALUES (o.id, o.payment_id, o.total_cents, p_event, p_at)
        -- Payment reported earlier that there was nothing to refund, and reports otherwise now, maybe of another payment.
        ON CONFLICT (order_id) DO UPDATE SET
            payment_id = o.payment_id, reason = p_event, requested_at = p_at, settled_at = NULL, outcome = NULL
        WHERE r.outcome = 'FAILED';
    ELSIF o.payment_status = 'REFUNDED' AND p_old_payment IS DISTINCT FROM 'REFUNDED' THEN
        INSERT INTO refunds AS r (order_id, payment_id, amount_cents, reason, requested_at, settled_at, outcome)
        VALUES (o.id, o.payment_id, o.total_cents, p_event, p_at, p_at, 'REFUNDED')
        ON CONFLICT (order_id) DO UPDATE SET settled_at = p_at, outcome = 'REFUNDED' WHERE r.outcome IS DISTINCT FROM 'REFUNDED';
    ELSIF p_old_phase = 'refunding' AND o.phase <> 'refunding' AND o.payment_status = 'FAILED' THEN
        UPDATE refunds SET settled_at = p_at, outcome = 'FAILED' WHERE order_id = o.id AND settled_at IS NULL;
    END IF;
END
$$;
