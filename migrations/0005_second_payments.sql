-- Second payments, accepted refunds, orders that cost nothing, a bounded journal.
SET LOCAL lock_timeout = '2s';

-- One payment belongs to one order. Before anything that keeps readers out, because making an index takes a while.
CREATE UNIQUE INDEX orders_payment ON orders (payment_id) WHERE payment_id IS NOT NULL;

-- The indexes of what must never be, with orders that cost nothing: they are confirmed without a payment.
CREATE INDEX orders_sold_without_ticket ON orders (id)
    WHERE request_hash IS NOT NULL AND phase = 'done'
      AND (payment_status = 'SUCCESS' AND status <> 'CONFIRMED'
           OR (payment_status = 'SUCCESS' OR total_cents = 0 AND status = 'CONFIRMED') AND valid_tickets <> cardinality(seats));
CREATE INDEX orders_ticket_unpaid ON orders (id)
    WHERE request_hash IS NOT NULL AND valid_tickets > 0
      AND (status <> 'CONFIRMED' OR phase <> 'done'
           OR payment_status IS DISTINCT FROM 'SUCCESS' AND total_cents IS DISTINCT FROM 0);
CREATE OR REPLACE VIEW order_violations AS
    SELECT id, 'paid_without_ticket' AS invariant, updated_at AS since,
           'paid, or free, and at rest, without a valid ticket for each seat' AS reason
    FROM orders WHERE request_hash IS NOT NULL AND phase = 'done'
      AND (payment_status = 'SUCCESS' AND status <> 'CONFIRMED'
           OR (payment_status = 'SUCCESS' OR total_cents = 0 AND status = 'CONFIRMED') AND valid_tickets <> cardinality(seats))
    UNION ALL
    SELECT id, 'ticket_without_payment', updated_at, 'valid tickets without a payment'
    FROM orders WHERE request_hash IS NOT NULL AND valid_tickets > 0
      AND (status <> 'CONFIRMED' OR phase <> 'done'
           OR payment_status IS DISTINCT FROM 'SUCCESS' AND total_cents IS DISTINCT FROM 0)
    UNION ALL
    SELECT id, 'pending_at_rest', updated_at, 'nothing is left to do, and nothing is decided'
    FROM orders WHERE request_hash IS NOT NULL AND phase = 'done' AND status = 'PENDING'
    UNION ALL
    SELECT id, 'claim_of_dead_order', updated_at, 'over, and its seats are still claimed'
    FROM orders WHERE phase = 'done' AND status IN ('CANCELLED', 'FAILED', 'REFUNDED') AND claimed > 0;

-- Payments beside an order's own, of which the first successful one is: each goes back when it succeeds. One row, one intent.
CREATE TABLE payment_refunds (
    payment_id    UUID PRIMARY KEY,
    order_id      UUID      NOT NULL REFERENCES orders (id) ON DELETE CASCADE,
    created_at    TIMESTAMP NOT NULL,
    -- When Payment is asked next, or the lease of whoever asks. NULL: settled.
    due_at        TIMESTAMP,
    -- Counted up by each claim: what came of an older one is not stored.
    attempts      INT       NOT NULL DEFAULT 0,
    -- It has taken no money yet, as far as is known.
    undecided     BOOLEAN   NOT NULL DEFAULT false,
    -- Payment has accepted the refund; it is asked for again then, and not before.
    again_at      TIMESTAMP,
    parked_at     TIMESTAMP,
    parked_reason TEXT,
    settled_at    TIMESTAMP,
    outcome       TEXT CHECK (outcome IN ('REFUNDED', 'FAILED')),
    CHECK ((settled_at IS NULL) = (outcome IS NULL)),
    CHECK ((settled_at IS NULL) = (due_at IS NOT NULL)),
    CHECK (settled_at IS NULL OR parked_at IS NULL)
);
CREATE INDEX payment_refunds_order ON payment_refunds (order_id);
CREATE INDEX payment_refunds_due ON payment_refunds (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX payment_refunds_open ON payment_refunds (created_at) WHERE settled_at IS NULL;
CREATE INDEX payment_refunds_parked ON payment_refunds (parked_at) WHERE parked_at IS NOT NULL;

-- The rules of 0003, and: what costs nothing is confirmed without a payment.
CREATE OR REPLACE FUNCTION check_order(
    status TEXT,
    phase TEXT,
    hold TEXT,
    ours BOOLEAN,
    subtotal INT,
    tax INT,
    total INT,
    payment_id UUID,
    payment_status TEXT,
    failure_code TEXT,
    due_at TIMESTAMP,
    watch_at TIMESTAMP
) RETURNS BOOLEAN LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS
$$
BEGIN
    RETURN status IN ('PENDING', 'CONFIRMED', 'CANCELLED', 'FAILED', 'REFUNDED')
        AND phase IN ('reserving', 'charging', 'awaiting_payment', 'allocating', 'refunding', 'releasing', 'done')
        AND hold IN ('none', 'reserved', 'allocated')
        AND payment_status IN ('PENDING', 'SUCCESS', 'FAILED', 'REFUNDED')
        AND (phase = 'done') = (due_at IS NULL)
        AND (watch_at IS NULL OR phase = 'done')
        AND (payment_id IS NULL) = (payment_status IS NULL)
        AND (subtotal IS NULL OR total = subtotal + tax)
        AND (status <> 'CONFIRMED' OR NOT ours OR (total IS NOT NULL AND (payment_id IS NOT NULL OR total = 0)))
        AND (status <> 'FAILED' OR NOT ours OR failure_code IS NOT NULL);
END
$$;

-- An attempt that repeats is no new entry: it counts up the newest one, which keeps the time and the number of the first.
ALTER TABLE order_events
    ADD COLUMN count   INT NOT NULL DEFAULT 1,
    ADD COLUMN last_at TIMESTAMP;

-- Payment has accepted the refund of the order's payment, and makes it later: it is asked for again then, and not before.
ALTER TABLE orders ADD COLUMN refund_again_at TIMESTAMP;

DROP INDEX orders_paid_without_ticket, orders_ticket_without_payment;

INSERT INTO schema_migrations (version) VALUES ('0005_second_payments');
