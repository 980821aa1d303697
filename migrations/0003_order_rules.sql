-- What must hold of every order that is written from now on. NOT VALID, because inherited rows were written under no such
-- rules. An unknown answer (NULL) passes.
SET LOCAL lock_timeout = '2s';

ALTER TABLE orders
    ADD CONSTRAINT orders_status_known CHECK (status IN ('PENDING', 'CONFIRMED', 'CANCELLED', 'FAILED', 'REFUNDED')) NOT VALID,
    ADD CONSTRAINT orders_phase_known CHECK (phase IN ('reserving', 'charging', 'awaiting_payment', 'allocating', 'refunding', 'releasing', 'done')) NOT VALID,
    ADD CONSTRAINT orders_hold_known CHECK (hold IN ('none', 'reserved', 'allocated')) NOT VALID,
    ADD CONSTRAINT orders_payment_known CHECK (payment_status IN ('PENDING', 'SUCCESS', 'FAILED', 'REFUNDED')) NOT VALID,
    -- Nothing can be stuck: an order is due exactly as long as something is left to do.
    ADD CONSTRAINT orders_due_until_done CHECK ((phase = 'done') = (due_at IS NULL)) NOT VALID,
    ADD CONSTRAINT orders_watched_when_done CHECK (watch_at IS NULL OR phase = 'done') NOT VALID,
    ADD CONSTRAINT orders_payment_whole CHECK ((payment_id IS NULL) = (payment_status IS NULL)) NOT VALID,
    ADD CONSTRAINT orders_total_is_sum CHECK (subtotal_cents IS NULL OR total_cents = subtotal_cents + tax_cents) NOT VALID,
    -- Not of inherited orders, which have no request_hash.
    ADD CONSTRAINT orders_confirmed_is_paid CHECK (
        status <> 'CONFIRMED' OR request_hash IS NULL OR (total_cents IS NOT NULL AND payment_id IS NOT NULL)) NOT VALID,
    ADD CONSTRAINT orders_failed_has_reason CHECK (
        status <> 'FAILED' OR request_hash IS NULL OR failure_code IS NOT NULL) NOT VALID;

INSERT INTO schema_migrations (version) VALUES ('0003_order_rules');
