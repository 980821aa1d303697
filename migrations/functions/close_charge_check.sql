-- Stores that the payment of an order's charge is known, when a callback about a payment has overtaken the charge: nothing is left to
-- check. Idempotent.
--
-- Returns nothing.
-- Locks: the check. Commit: may be asynchronous, and is. Losing it repeats the charge under its key, which gives the same payment.
CREATE OR REPLACE FUNCTION close_charge_check(p_order UUID) RETURNS VOID LANGUAGE plpgsql AS
$$
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    DELETE FROM payment_refunds WHERE order_id = p_order AND payment_id IS NULL AND told_payment_id IS NULL;
END
$$;
