-- Closes the check that find_payment_check finds, by an operator's word, with an entry in the journal: that of p_payment, or else that
-- of the charge. A word about one payment says nothing about another.
--
-- Returns whether there was one.
-- Locks: the order; then the checks.
-- Commit: durable. What an operator was told must be on disk.
CREATE OR REPLACE FUNCTION close_payment_checks(p_order UUID, p_payment UUID, p_event TEXT, p_actor TEXT, p_data JSONB)
RETURNS BOOLEAN LANGUAGE plpgsql AS
$$
DECLARE
    at TIMESTAMP := timezone('utc', clock_timestamp());
    now_version INT;
BEGIN
    PERFORM FROM orders WHERE id = p_order FOR UPDATE;
    DELETE FROM payment_refunds WHERE order_id = p_order AND payment_id IS NULL
        AND told_payment_id IS NOT DISTINCT FROM (
            SELECT t.told_payment_id FROM payment_refunds t WHERE t.order_id = p_order AND t.told_payment_id = p_payment);
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE orders w SET version = w.version + 1, updated_at = at, changed_xid = pg_current_xact_id() WHERE w.id = p_order RETURNING w.version INTO now_version;
    INSERT INTO order_events (order_id, seq, type, at, actor, data) VALUES (p_order, now_version, p_event, at, p_actor, p_data);
    RETURN true;
END
$$;
