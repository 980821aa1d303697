-- Stores that Payment must be asked about a payment of the order: one of which a callback told when Payment could not be asked or had
-- not decided it, or (p_payment is NULL) the one that a charge without an answer may have made. Idempotent. Anybody can send callbacks,
-- so an order has p_limit checks of callbacks at most. Payment is asked after p_wait_ms.
--
-- A second callback changes nothing, with one exception: where Payment has shown the payment as undecided, it is asked again within a
-- minute (or p_wait_ms). That is done once until it is asked, and skips no back-off.
--
-- Returns whether it is stored, now or before.
-- Locks: the order FOR KEY SHARE, by the foreign key; or the check that is due sooner.
-- Commit: durable. Payment tells of a payment only once.
CREATE OR REPLACE FUNCTION add_payment_check(p_order UUID, p_payment UUID, p_limit INT, p_wait_ms BIGINT) RETURNS BOOLEAN LANGUAGE plpgsql AS
$$
DECLARE
    at TIMESTAMP := timezone('utc', clock_timestamp());
    soon TIMESTAMP := at + greatest(p_wait_ms, 60000) * interval '1 millisecond';
    told INT;
    is_known BOOLEAN;
BEGIN
    SELECT count(told_payment_id), coalesce(bool_or(told_payment_id IS NOT DISTINCT FROM p_payment), false) INTO told, is_known
    FROM payment_refunds WHERE order_id = p_order AND payment_id IS NULL;
    IF is_known AND p_payment IS NOT NULL THEN
        UPDATE payment_refunds SET due_at = soon
        WHERE order_id = p_order AND payment_id IS NULL AND told_payment_id = p_payment
          AND watched AND open_claims = 0 AND due_at > soon;
    END IF;
    -- An order's id is no payment's, and the unique index keeps it for the check of the charge.
    IF is_known OR p_payment = p_order OR p_payment IS NOT NULL AND told >= p_limit THEN
        PERFORM require_writable_server();
        RETURN is_known;
    END IF;
    INSERT INTO payment_refunds (order_id, told_payment_id, created_at, due_at, undecided)
    VALUES (p_order, p_payment, at, at + p_wait_ms * interval '1 millisecond', true) ON CONFLICT DO NOTHING;
    RETURN true;
END
$$;
