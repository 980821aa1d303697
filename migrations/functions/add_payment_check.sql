-- Stores that Payment must be asked about a payment of the order: one of which a callback told when Payment could not be asked, or
-- (p_payment is NULL) the one that a charge without an answer may have made. Idempotent: a second callback changes nothing. Anybody
-- can send one, so an order has p_limit checks of callbacks at most. Payment is asked after p_wait_ms.
--
-- Returns whether it is stored, now or before.
-- Locks: the order FOR KEY SHARE, by the foreign key.
-- Commit: durable. Payment tells of a payment only once.
CREATE OR REPLACE FUNCTION add_payment_check(p_order UUID, p_payment UUID, p_limit INT, p_wait_ms BIGINT) RETURNS BOOLEAN LANGUAGE plpgsql AS
$$
DECLARE
    at TIMESTAMP := timezone('utc', clock_timestamp());
    told INT;
    is_known BOOLEAN;
BEGIN
    SELECT count(told_payment_id), coalesce(bool_or(told_payment_id IS NOT DISTINCT FROM p_payment), false) INTO told, is_known
    FROM payment_refunds WHERE order_id = p_order AND payment_id IS NULL;
    -- An order's id is no payment's, and the unique index keeps it for the check of the charge.
    IF is_known OR p_payment = p_order OR p_payment IS NOT NULL AND told >= p_limit THEN
        RETURN is_known;
    END IF;
    INSERT INTO payment_refunds (order_id, told_payment_id, created_at, due_at, undecided)
    VALUES (p_order, p_payment, at, at + p_wait_ms * interval '1 millisecond', true) ON CONFLICT DO NOTHING;
    RETURN true;
END
$$;
