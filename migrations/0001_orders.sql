-- The tables of orders, their indexes and the view of violations. Applies to an empty database and to an inherited one: one
-- that the service before this one filled. Its three tables (orders, order_items, tickets) keep their names, columns and
-- types, and what this service adds stands beside them. All times are UTC in TIMESTAMP columns.

-- An ALTER that waits for a lock makes every later request for the table wait behind it.
SET LOCAL lock_timeout = '2s';

-- Which files like this one were applied.
CREATE TABLE IF NOT EXISTS schema_migrations (
    version    TEXT PRIMARY KEY,
    applied_at TIMESTAMP NOT NULL DEFAULT timezone('utc', now())
);

-- One row: which set of functions/ is installed.
CREATE TABLE schema_functions (
    id          INT PRIMARY KEY CHECK (id = 1),
    checksum    TEXT NOT NULL,
    replaced_at TIMESTAMP NOT NULL DEFAULT timezone('utc', now())
);

CREATE TABLE IF NOT EXISTS orders (
    id              UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    idempotency_key TEXT UNIQUE,
    user_id         INT,
    event_id        INT,
    status          VARCHAR(20) NOT NULL DEFAULT 'PENDING',
    tax_cents       INT,
    total_cents     INT,
    created_at      TIMESTAMP NOT NULL DEFAULT timezone('utc', now()),
    updated_at      TIMESTAMP NOT NULL DEFAULT timezone('utc', now())
);

CREATE TABLE IF NOT EXISTS order_items (
    id               SERIAL PRIMARY KEY,
    order_id         UUID REFERENCES orders (id) ON DELETE CASCADE,
    seat_id          INT NOT NULL,
    seat_code        TEXT,
    seat_price_cents INT NOT NULL DEFAULT 0
);

CREATE TABLE IF NOT EXISTS tickets (
    id          UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    order_id    UUID REFERENCES orders (id) ON DELETE CASCADE,
    seat_id     INT NOT NULL,
    ticket_code TEXT NOT NULL UNIQUE,
    issued_at   TIMESTAMP NOT NULL DEFAULT timezone('utc', now())
);

-- The ORM of the service before made the cents NOT NULL DEFAULT 0; here they are unknown until the seats are reserved.
ALTER TABLE orders
    ALTER COLUMN tax_cents DROP NOT NULL,
    ALTER COLUMN tax_cents DROP DEFAULT,
    ALTER COLUMN total_cents DROP NOT NULL,
    ALTER COLUMN total_cents DROP DEFAULT;

-- The defaults are what is true of an inherited order: nothing is left to do for it by itself.
ALTER TABLE orders
    -- Of the request that placed it. NULL in an inherited order.
    ADD COLUMN IF NOT EXISTS request_hash    TEXT,
    ADD COLUMN IF NOT EXISTS seats           INT[]     NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS subtotal_cents  INT,
    ADD COLUMN IF NOT EXISTS currency        TEXT      NOT NULL DEFAULT 'INR',
    ADD COLUMN IF NOT EXISTS phase           TEXT      NOT NULL DEFAULT 'done',
    ADD COLUMN IF NOT EXISTS hold            TEXT      NOT NULL DEFAULT 'none',
    ADD COLUMN IF NOT EXISTS failure_code    TEXT,
    ADD COLUMN IF NOT EXISTS failure_detail  TEXT,
    ADD COLUMN IF NOT EXISTS payment_id      UUID,
    ADD COLUMN IF NOT EXISTS payment_status  TEXT,
    ADD COLUMN IF NOT EXISTS expires_at      TIMESTAMP,
    ADD COLUMN IF NOT EXISTS hold_until      TIMESTAMP,
    ADD COLUMN IF NOT EXISTS due_at          TIMESTAMP,
    ADD COLUMN IF NOT EXISTS attempts        INT       NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS version         INT       NOT NULL DEFAULT 1,
    -- Nobody wants seats for it any more: money that comes late goes back.
    ADD COLUMN IF NOT EXISTS given_up        BOOLEAN   NOT NULL DEFAULT false,
    -- A callback came that could not be checked.
    ADD COLUMN IF NOT EXISTS payment_unsure  BOOLEAN   NOT NULL DEFAULT false,
    -- due_at is the lease of somebody who may be at work, not a wait.
    ADD COLUMN IF NOT EXISTS leased          BOOLEAN   NOT NULL DEFAULT false,
    -- Goes on whenever the order passes into other hands: whoever performed an action under an older one is not heard.
    ADD COLUMN IF NOT EXISTS lease           INT       NOT NULL DEFAULT 1,
    -- Until then a request to Seating that had no answer may take effect.
    ADD COLUMN IF NOT EXISTS in_flight_until TIMESTAMP,
    -- When Payment is asked about the payment of an order at rest.
    ADD COLUMN IF NOT EXISTS watch_at        TIMESTAMP,
    -- Since when an operator should know of it, and why.
    ADD COLUMN IF NOT EXISTS parked_at       TIMESTAMP,
    ADD COLUMN IF NOT EXISTS parked_reason   TEXT,
    ADD COLUMN IF NOT EXISTS phase_since     TIMESTAMP NOT NULL DEFAULT timezone('utc', now()),
    -- Counted from the rows that were really written, so that a disagreement shows.
    ADD COLUMN IF NOT EXISTS valid_tickets   INT       NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS claimed         INT       NOT NULL DEFAULT 0;

ALTER TABLE tickets ADD COLUMN IF NOT EXISTS voided_at TIMESTAMP;

-- A database that was made without it has it now; one that has it keeps its own.
DO $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
        WHERE i.indrelid = 'orders'::regclass AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
          AND i.indnatts = 1 AND a.attname = 'idempotency_key'
    ) THEN
        CREATE UNIQUE INDEX orders_idempotency_key ON orders (idempotency_key);
    END IF;
END $$;

CREATE INDEX IF NOT EXISTS order_items_order ON order_items (order_id);
CREATE INDEX IF NOT EXISTS tickets_order ON tickets (order_id);
-- The sweep's ways in: unfinished orders and watched payments, the longest due first. All other orders are not in them.
CREATE INDEX IF NOT EXISTS orders_due ON orders (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX orders_watch ON orders (watch_at) WHERE watch_at IS NOT NULL;
CREATE INDEX orders_parked ON orders (parked_at) WHERE parked_at IS NOT NULL;

-- What must never be: an index that is empty while all is well, so that looking for violations costs nothing. Inherited
-- orders were made under no such rules.
CREATE INDEX orders_paid_without_ticket ON orders (id)
    WHERE request_hash IS NOT NULL AND phase = 'done' AND payment_status = 'SUCCESS'
      AND (status <> 'CONFIRMED' OR valid_tickets <> cardinality(seats));
CREATE INDEX orders_ticket_without_payment ON orders (id)
    WHERE request_hash IS NOT NULL AND valid_tickets > 0
      AND (status <> 'CONFIRMED' OR phase <> 'done' OR payment_status IS DISTINCT FROM 'SUCCESS');
CREATE INDEX orders_pending_at_rest ON orders (id) WHERE request_hash IS NOT NULL AND phase = 'done' AND status = 'PENDING';
CREATE INDEX orders_claim_of_dead_order ON orders (id)
    WHERE phase = 'done' AND status IN ('CANCELLED', 'FAILED', 'REFUNDED') AND claimed > 0;

-- Orders that are as they never should be. Each branch has the condition of its index above.
CREATE VIEW order_violations AS
    SELECT id, 'paid_without_ticket' AS invariant, updated_at AS since,
           'paid and at rest, without a valid ticket for each seat' AS reason
    FROM orders WHERE request_hash IS NOT NULL AND phase = 'done' AND payment_status = 'SUCCESS'
      AND (status <> 'CONFIRMED' OR valid_tickets <> cardinality(seats))
    UNION ALL
    SELECT id, 'ticket_without_payment', updated_at, 'valid tickets without a payment'
    FROM orders WHERE request_hash IS NOT NULL AND valid_tickets > 0
      AND (status <> 'CONFIRMED' OR phase <> 'done' OR payment_status IS DISTINCT FROM 'SUCCESS')
    UNION ALL
    SELECT id, 'pending_at_rest', updated_at, 'nothing is left to do, and nothing is decided'
    FROM orders WHERE request_hash IS NOT NULL AND phase = 'done' AND status = 'PENDING'
    UNION ALL
    SELECT id, 'claim_of_dead_order', updated_at, 'over, and its seats are still claimed'
    FROM orders WHERE phase = 'done' AND status IN ('CANCELLED', 'FAILED', 'REFUNDED') AND claimed > 0;

-- A seat belongs to one live order. No code path, and no mistake of a peer, gets round a primary key.
CREATE TABLE IF NOT EXISTS seat_claims (
    event_id INT  NOT NULL,
    seat_id  INT  NOT NULL,
    order_id UUID NOT NULL REFERENCES orders (id) ON DELETE CASCADE,
    PRIMARY KEY (event_id, seat_id)
);

-- The journal: every transition of an order, append-only. seq is the order's version after it.
CREATE TABLE IF NOT EXISTS order_events (
    order_id UUID      NOT NULL REFERENCES orders (id) ON DELETE CASCADE,
    seq      INT       NOT NULL,
    type     TEXT      NOT NULL,
    at       TIMESTAMP NOT NULL DEFAULT timezone('utc', clock_timestamp()),
    actor    TEXT      NOT NULL,
    data     JSONB     NOT NULL DEFAULT '{}',
    PRIMARY KEY (order_id, seq)
);

-- One row, one intent, for each order whose money went or is to go back. Its outcome is what Payment said of the payment in
-- the end; a charge-back has a row that is settled from the beginning.
CREATE TABLE refunds (
    order_id     UUID PRIMARY KEY REFERENCES orders (id) ON DELETE CASCADE,
    payment_id   UUID      NOT NULL,
    amount_cents INT,
    reason       TEXT      NOT NULL, -- the type of the journal's entry that led to it
    requested_at TIMESTAMP NOT NULL,
    settled_at   TIMESTAMP,
    outcome      TEXT CHECK (outcome IN ('REFUNDED', 'FAILED')),
    CHECK ((settled_at IS NULL) = (outcome IS NULL))
);
CREATE INDEX refunds_open ON refunds (requested_at) WHERE settled_at IS NULL;

-- Messages that must go out (transactional outbox), written with the change that they tell of. A delivered one is deleted;
-- one with dead_at is a dead letter and waits for a person.
CREATE TABLE IF NOT EXISTS outbox (
    id         UUID PRIMARY KEY,
    order_id   UUID      NOT NULL REFERENCES orders (id) ON DELETE CASCADE,
    kind       TEXT      NOT NULL,
    payload    TEXT      NOT NULL,
    attempts   INT       NOT NULL DEFAULT 0,
    created_at TIMESTAMP NOT NULL DEFAULT timezone('utc', clock_timestamp()),
    due_at     TIMESTAMP NOT NULL,
    last_error TEXT,
    dead_at    TIMESTAMP
);
CREATE INDEX IF NOT EXISTS outbox_due ON outbox (due_at) WHERE dead_at IS NULL;
CREATE INDEX IF NOT EXISTS outbox_waiting ON outbox (created_at) WHERE dead_at IS NULL;
CREATE INDEX outbox_dead ON outbox (dead_at) WHERE dead_at IS NOT NULL;

-- What /metrics reads: counts kept by the transitions themselves, spread over 64 rows so that concurrent transitions seldom
-- want the same one. A count is the sum over the rows; one row alone may be negative.
CREATE TABLE IF NOT EXISTS order_counts (
    shard            INT PRIMARY KEY,
    created          BIGINT NOT NULL DEFAULT 0,
    tickets          BIGINT NOT NULL DEFAULT 0,
    outbox           BIGINT NOT NULL DEFAULT 0, -- messages that wait for delivery
    dead_letters     BIGINT NOT NULL DEFAULT 0,
    pending          BIGINT NOT NULL DEFAULT 0,
    confirmed        BIGINT NOT NULL DEFAULT 0,
    cancelled        BIGINT NOT NULL DEFAULT 0,
    failed           BIGINT NOT NULL DEFAULT 0,
    refunded         BIGINT NOT NULL DEFAULT 0,
    reserving        BIGINT NOT NULL DEFAULT 0,
    charging         BIGINT NOT NULL DEFAULT 0,
    awaiting_payment BIGINT NOT NULL DEFAULT 0,
    allocating       BIGINT NOT NULL DEFAULT 0,
    refunding        BIGINT NOT NULL DEFAULT 0,
    releasing        BIGINT NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
INSERT INTO order_counts (shard) SELECT generate_series(0, 63) ON CONFLICT DO NOTHING;

-- Failed and expired orders by failure code, sharded likewise.
CREATE TABLE IF NOT EXISTS failure_counts (
    shard INT    NOT NULL,
    code  TEXT   NOT NULL,
    value BIGINT NOT NULL,
    PRIMARY KEY (shard, code)
) WITH (fillfactor = 50);

-- What the instances did, flushed by each within a second of doing it.
CREATE TABLE IF NOT EXISTS work_counts (
    name  TEXT             NOT NULL,
    label TEXT             NOT NULL,
    value DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (name, label)
) WITH (fillfactor = 50);

-- One row: since when some instance has been at work without a pause.
CREATE TABLE IF NOT EXISTS heartbeat (
    id         INT PRIMARY KEY CHECK (id = 1),
    started_at TIMESTAMP NOT NULL,
    seen_at    TIMESTAMP NOT NULL
);

INSERT INTO schema_migrations (version) VALUES ('0001_orders');
