-- Tells whether an order has a check that an operator's word may close: of its charge or, where p_payment is not NULL, of a callback
-- about that payment.
--
-- Returns true or false.
-- Locks nothing. Commit: none is needed, it writes nothing.
CREATE OR REPLACE FUNCTION find_payment_check(p_order UUID, p_payment UUID) RETURNS BOOLEAN LANGUAGE plpgsql STABLE AS
$$
BEGIN
    RETURN EXISTS (SELECT FROM payment_refunds WHERE order_id = p_order AND payment_id IS NULL
        AND (told_payment_id IS NULL OR told_payment_id = p_payment));
END
$$;
