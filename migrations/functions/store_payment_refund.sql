-- Stores what came of a claimed second payment: it is settled (p_outcome), or asked about again after p_wait_ms. Only if nobody has
-- claimed it since: p_attempts is the number of the claim, or NULL for an operator's word.
--
-- p_reason: why it is parked; of one that is settled, an operator's reason, for the journal.
-- p_again_ms: Payment has just accepted the refund, and is not asked for it again for so long.
-- Returns whether it was stored.
-- Locks: the order, when it is settled; the payment.
-- Commit: durable.
CREATE OR REPLACE FUNCTION store_payment_refund(
    p_order UUID,
    p_payment UUID,
    p_attempts INT,
    p_outcome TEXT,
    p_wait_ms BIGINT,
    p_again_ms BIGINT,
    p_undecided BOOLEAN,
    p_parked BOOLEAN,
    p_reason TEXT,
    p_actor TEXT
) RETURNS BOOLEAN LANGUAGE plpgsql AS
$$
DECLARE
    at TIMESTAMP := timezone('utc', clock_timestamp());
    now_version INT;
BEGIN
    IF p_outcome IS NOT NULL THEN
        PERFORM FROM orders WHERE id = p_order FOR UPDATE;
    END IF;
    UPDATE payment_refunds r SET
        due_at = CASE WHEN p_outcome IS NULL THEN at + p_wait_ms * interval '1 millisecond' END,
        open_claims = 0,
        again_at = coalesce(at + p_again_ms * interval '1 millisecond', r.again_at),
        undecided = p_undecided,
        parked_at = CASE WHEN p_parked AND p_outcome IS NULL THEN coalesce(r.parked_at, at) END,
        parked_reason = CASE WHEN p_parked AND p_outcome IS NULL THEN coalesce(p_reason, r.parked_reason) END,
        settled_at = CASE WHEN p_outcome IS NOT NULL THEN at END,
        outcome = p_outcome
    WHERE r.payment_id = p_payment AND r.order_id = p_order AND r.attempts = coalesce(p_attempts, r.attempts) AND r.settled_at IS NULL;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF p_outcome IS NOT NULL THEN
        UPDATE orders w SET version = w.version + 1, updated_at = at, changed_xid = pg_current_xact_id() WHERE w.id = p_order RETURNING w.version INTO now_version;
        INSERT INTO order_events (order_id, seq, type, at, actor, data)
        VALUES (p_order, now_version, CASE p_outcome WHEN 'REFUNDED' THEN 'second_payment_refunded' ELSE 'second_payment_failed' END,
                at, p_actor, jsonb_strip_nulls(jsonb_build_object('payment_id', p_payment, 'reason', p_reason)));
    END IF;
    RETURN true;
END
$$;
