-- Remembers a payment of an order beside its own that has taken no money, or whose money went back, so that callbacks about it are
-- answered as processed. Idempotent. Only for what Payment itself has shown.
--
-- Returns nothing.
-- Locks: the order FOR KEY SHARE, by the foreign key. Commit: durable.
CREATE OR REPLACE FUNCTION remember_payment(p_order UUID, p_payment UUID, p_outcome TEXT) RETURNS VOID LANGUAGE plpgsql AS
$$
DECLARE
    at TIMESTAMP := timezone('utc', clock_timestamp());
BEGIN
    INSERT INTO payment_refunds (payment_id, order_id, created_at, undecided, settled_at, outcome)
    VALUES (p_payment, p_order, at, true, at, p_outcome) ON CONFLICT DO NOTHING;
END
$$;
