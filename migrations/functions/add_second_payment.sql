-- Stores that a payment beside the order's own, which succeeded first, must go back. Idempotent: a payment has one row.
--
-- Returns {added, document}; {known, document} when its row says so already; {foreign} when it is another order's;
-- {conflict, state, document} when the order's own payment has not succeeded, or is this one: decide again; {gone} when there is
-- no such order.
-- Locks: the order; then the payment's row.
-- Commit: durable. What Payment was told must be on disk.
CREATE OR REPLACE FUNCTION add_second_payment(p_order UUID, p_payment UUID, p_undecided BOOLEAN, p_actor TEXT, p_data JSONB)
RETURNS TEXT[] LANGUAGE plpgsql AS
$$
DECLARE
    at TIMESTAMP := timezone('utc', clock_timestamp());
    o orders;
    owner UUID;
BEGIN
    SELECT * INTO o FROM orders WHERE id = p_order FOR UPDATE;
    IF NOT FOUND THEN
        RETURN ARRAY['gone'];
    ELSIF o.payment_id = p_payment OR (o.payment_status IN ('SUCCESS', 'REFUNDED')) IS NOT TRUE THEN
        RETURN report_conflict(o, true);
    ELSIF EXISTS (SELECT FROM orders WHERE payment_id = p_payment) THEN
        RETURN ARRAY['foreign'];
    END IF;
    INSERT INTO payment_refunds (payment_id, order_id, created_at, due_at, undecided)
    VALUES (p_payment, p_order, at, at, p_undecided) ON CONFLICT (payment_id) DO NOTHING;
    IF NOT FOUND THEN
        -- It was undecided, or had failed, and has taken money since. Whoever has claimed it knows less: what comes of that is not stored.
        -- A lease that is held goes on: its holder may be asking for the refund.
        UPDATE payment_refunds SET undecided = false, attempts = attempts + 1, created_at = at,
            due_at = CASE WHEN open_claims > 0 THEN coalesce(due_at, at) ELSE at END, settled_at = NULL, outcome = NULL,
            again_at = NULL
        WHERE payment_id = p_payment AND order_id = p_order AND NOT p_undecided
            AND (undecided AND settled_at IS NULL OR outcome = 'FAILED');
        IF NOT FOUND THEN
            SELECT order_id INTO owner FROM payment_refunds WHERE payment_id = p_payment;
            RETURN CASE WHEN owner = p_order THEN ARRAY['known', render_document(o)] ELSE ARRAY['foreign'] END;
        END IF;
    END IF;
    UPDATE orders w SET version = w.version + 1, updated_at = at, changed_xid = pg_current_xact_id() WHERE w.id = p_order RETURNING * INTO o;
    INSERT INTO order_events (order_id, seq, type, at, actor, data)
    VALUES (p_order, o.version, 'second_payment', at, p_actor, p_data);
    RETURN ARRAY['added', render_document(o)];
END
$$;
