-- The rules of every order cost less. PL/pgSQL prepares an expression when it first comes to it in a transaction, so that what does not
-- apply to an order that is under way is not prepared for it. What holds is what 0012 has, word for word; indexes and rows stay as they
-- are.
SET LOCAL lock_timeout = '2s';

CREATE OR REPLACE FUNCTION is_order_violation(
    ours BOOLEAN,
    status TEXT,
    phase TEXT,
    payment_status TEXT,
    total INT,
    seats INT,
    valid_tickets INT,
    claimed INT
) RETURNS BOOLEAN LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS
$$
BEGIN
    IF phase <> 'done' THEN
        RETURN ours AND valid_tickets > 0;
    END IF;
    RETURN ours AND (status = 'PENDING'
            OR (payment_status = 'SUCCESS' AND status <> 'CONFIRMED')
            OR ((payment_status = 'SUCCESS' OR (total = 0 AND status = 'CONFIRMED')) AND valid_tickets <> seats)
            OR (valid_tickets > 0
                AND (status <> 'CONFIRMED' OR (payment_status IS DISTINCT FROM 'SUCCESS' AND total IS DISTINCT FROM 0))))
        OR (claimed > 0 AND status IN ('CANCELLED', 'FAILED', 'REFUNDED'));
END
$$;

CREATE OR REPLACE FUNCTION is_sound_order(o orders) RETURNS BOOLEAN LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS
$$
BEGIN
    -- Nothing can be stuck: an order is due exactly as long as something is left to do. A payment is watched when the order is at rest.
    IF o.phase = 'done' THEN
        IF o.due_at IS NOT NULL THEN
            RETURN false;
        END IF;
    ELSIF o.due_at IS NULL OR o.watch_at IS NOT NULL
        OR o.phase NOT IN ('reserving', 'charging', 'awaiting_payment', 'allocating', 'refunding', 'releasing') THEN
        RETURN false;
    END IF;
    -- Inherited orders have no request's hash. What costs nothing is confirmed without a payment.
    IF o.status <> 'PENDING' THEN
        IF o.status NOT IN ('CONFIRMED', 'CANCELLED', 'FAILED', 'REFUNDED')
            OR (o.status = 'CONFIRMED' AND o.request_hash IS NOT NULL
                AND (o.total_cents IS NULL OR (o.payment_id IS NULL AND o.total_cents <> 0)))
            OR (o.status = 'FAILED' AND o.request_hash IS NOT NULL AND o.failure_code IS NULL) THEN
            RETURN false;
        END IF;
    END IF;
    RETURN o.hold IN ('none', 'reserved', 'allocated')
        AND o.payment_status IN ('PENDING', 'SUCCESS', 'FAILED', 'REFUNDED')
        AND (o.payment_id IS NULL) = (o.payment_status IS NULL)
        AND (o.subtotal_cents IS NULL OR o.total_cents = o.subtotal_cents + o.tax_cents);
END
$$;

INSERT INTO schema_migrations (version) VALUES ('0016_rules_in_steps');
