-- Tells whether a payment is known as one beside the order's own.
--
-- Returns 'undecided' while it has taken no money, also when it has failed, else 'known'; NULL when it is not known.
-- Locks nothing. Commit: none is needed, it writes nothing.
CREATE OR REPLACE FUNCTION find_second_payment(p_order UUID, p_payment UUID) RETURNS TEXT LANGUAGE plpgsql STABLE AS
$$
BEGIN
    RETURN (SELECT CASE WHEN undecided AND settled_at IS NULL OR outcome = 'FAILED' THEN 'undecided' ELSE 'known' END
            FROM payment_refunds WHERE payment_id = p_payment AND order_id = p_order);
END
$$;
