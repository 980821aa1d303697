-- Checks: payments of an order that Payment must be asked about, because nobody could tell whether there is such a payment.
SET LOCAL lock_timeout = '2s';

-- Beside the payments that go back, payment_refunds has the checks, so that one queue has all that is asked about payments beside
-- the orders' own. A check has no payment_id, because no such payment is known; it is deleted when Payment has answered.
ALTER TABLE payment_refunds
    ADD COLUMN id BIGINT GENERATED ALWAYS AS IDENTITY,
    -- Of a check: the payment that a callback told of. NULL: the one that a charge without an answer may have made.
    ADD COLUMN told_payment_id UUID,
    DROP CONSTRAINT payment_refunds_pkey,
    ADD PRIMARY KEY (id),
    ALTER COLUMN payment_id DROP NOT NULL,
    ADD CONSTRAINT payment_refunds_payment UNIQUE (payment_id),
    ADD CONSTRAINT payment_refunds_check_told CHECK (payment_id IS NULL OR told_payment_id IS NULL),
    ADD CONSTRAINT payment_refunds_check_open CHECK (payment_id IS NOT NULL OR settled_at IS NULL AND undecided);
CREATE UNIQUE INDEX payment_refunds_checks ON payment_refunds (order_id, coalesce(told_payment_id, order_id)) WHERE payment_id IS NULL;

INSERT INTO schema_migrations (version) VALUES ('0009_payment_checks');
