-- Payments beside the orders' own: leases, and what Payment has said of them so far.
SET LOCAL lock_timeout = '2s';

ALTER TABLE payment_refunds
    -- Claims since an outcome was stored: not 0 while it is leased, and after a crash of whoever had the lease.
    ADD COLUMN open_claims INT     NOT NULL DEFAULT 0,
    -- Of a check: Payment has shown the payment before, as one of the order.
    ADD COLUMN seen        BOOLEAN NOT NULL DEFAULT false,
    -- Of a check: Payment's last answer was that the payment is undecided. It is no back-off for which it waits.
    ADD COLUMN watched     BOOLEAN NOT NULL DEFAULT false,
    -- Of a check: how often in a row Payment has not known the payment.
    ADD COLUMN unknown     INT     NOT NULL DEFAULT 0;

INSERT INTO schema_migrations (version) VALUES ('0010_payment_leases');
