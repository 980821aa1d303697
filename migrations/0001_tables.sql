-- The tables of orders. Applies to an empty database and to one that the service before this one filled: its three
-- tables (orders, order_items, tickets) keep their names, columns and types, and what this service adds stands beside
-- them. All times are UTC in TIMESTAMP columns.

CREATE TABLE IF NOT EXISTS schema_migrations (
    version    TEXT PRIMARY KEY,
    applied_at TIMESTAMP NOT NULL DEFAULT timezone('utc', now())
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

-- An inherited order has phase 'done', no request_hash and version 1: nothing is left to do for it by itself.
ALTER TABLE orders
    ADD COLUMN IF NOT EXISTS request_hash   TEXT,
    ADD COLUMN IF NOT EXISTS seats          INT[] NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS subtotal_cents INT,
    ADD COLUMN IF NOT EXISTS currency       TEXT NOT NULL DEFAULT 'INR',
    ADD COLUMN IF NOT EXISTS phase          TEXT NOT NULL DEFAULT 'done',
    ADD COLUMN IF NOT EXISTS hold           TEXT NOT NULL DEFAULT 'none',
    ADD COLUMN IF NOT EXISTS failure_code   TEXT,
    ADD COLUMN IF NOT EXISTS failure_detail TEXT,
    ADD COLUMN IF NOT EXISTS payment_id     UUID,
    ADD COLUMN IF NOT EXISTS payment_status TEXT,
    ADD COLUMN IF NOT EXISTS expires_at     TIMESTAMP,
    ADD COLUMN IF NOT EXISTS hold_until     TIMESTAMP,
    ADD COLUMN IF NOT EXISTS due_at         TIMESTAMP,
    ADD COLUMN IF NOT EXISTS attempts       INT NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS version        INT NOT NULL DEFAULT 1;

ALTER TABLE tickets ADD COLUMN IF NOT EXISTS voided_at TIMESTAMP;

-- A database that was made without these has them now; one that has them keeps its own.
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
-- The sweep's only way in: unfinished orders, the longest due first. Orders at rest are not in it.
CREATE INDEX IF NOT EXISTS orders_due ON orders (due_at) WHERE due_at IS NOT NULL;

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

-- Messages that must go out, written with the change that they tell of. A delivered one is deleted; one with dead_at
-- is a dead letter and waits for a person.
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

-- What /metrics reads: counts kept by the transitions themselves, spread over sixteen rows so that concurrent
-- transitions seldom want the same one. A count is the sum over the rows; one row alone may be negative.
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

INSERT INTO order_counts (shard) SELECT generate_series(0, 15) ON CONFLICT DO NOTHING;

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

-- Inherited orders: what they sold stays sold. Two inherited orders that sold the same seat both keep their tickets;
-- the older one has the claim.
UPDATE orders o SET hold = 'allocated', seats = s.ids
FROM (SELECT order_id, array_agg(DISTINCT seat_id ORDER BY seat_id) AS ids
      FROM (SELECT order_id, seat_id FROM order_items UNION SELECT order_id, seat_id FROM tickets) x
      WHERE seat_id IS NOT NULL
      GROUP BY order_id) s
WHERE s.order_id = o.id AND o.request_hash IS NULL AND o.status = 'CONFIRMED' AND o.hold = 'none';

UPDATE orders o SET seats = s.ids
FROM (SELECT order_id, array_agg(DISTINCT seat_id ORDER BY seat_id) AS ids FROM order_items
      WHERE seat_id IS NOT NULL GROUP BY order_id) s
WHERE s.order_id = o.id AND o.request_hash IS NULL AND o.seats = '{}';

INSERT INTO seat_claims (event_id, seat_id, order_id)
SELECT o.event_id, seat.id, o.id
FROM orders o CROSS JOIN LATERAL unnest(o.seats) AS seat (id)
WHERE o.status = 'CONFIRMED' AND o.request_hash IS NULL AND o.event_id IS NOT NULL
ORDER BY o.created_at, o.id
ON CONFLICT DO NOTHING;

UPDATE order_counts SET
    created   = (SELECT count(*) FROM orders),
    tickets   = (SELECT count(*) FROM tickets),
    pending   = (SELECT count(*) FROM orders WHERE status = 'PENDING'),
    confirmed = (SELECT count(*) FROM orders WHERE status = 'CONFIRMED'),
    cancelled = (SELECT count(*) FROM orders WHERE status = 'CANCELLED'),
    failed    = (SELECT count(*) FROM orders WHERE status = 'FAILED'),
    refunded  = (SELECT count(*) FROM orders WHERE status = 'REFUNDED')
WHERE shard = 0;

INSERT INTO failure_counts (shard, code, value)
SELECT 0, 'order_failed', count(*) FROM orders WHERE status = 'FAILED' HAVING count(*) > 0;

-- What must hold of every order of ours. NOT VALID, because inherited rows were written under no such rules.
ALTER TABLE orders
    ADD CONSTRAINT orders_status_known CHECK (status IN ('PENDING', 'CONFIRMED', 'CANCELLED', 'FAILED', 'REFUNDED')) NOT VALID,
    ADD CONSTRAINT orders_phase_known CHECK (phase IN ('reserving', 'charging', 'awaiting_payment', 'allocating', 'refunding', 'releasing', 'done')) NOT VALID,
    ADD CONSTRAINT orders_hold_known CHECK (hold IN ('none', 'reserved', 'allocated')) NOT VALID,
    ADD CONSTRAINT orders_payment_known CHECK (payment_status IN ('PENDING', 'SUCCESS', 'FAILED', 'REFUNDED')) NOT VALID,
    -- Nothing can be stuck: an order is due exactly as long as something is left to do.
    ADD CONSTRAINT orders_due_until_done CHECK ((phase = 'done') = (due_at IS NULL)) NOT VALID,
    ADD CONSTRAINT orders_payment_whole CHECK ((payment_id IS NULL) = (payment_status IS NULL)) NOT VALID,
    ADD CONSTRAINT orders_total CHECK (subtotal_cents IS NULL OR total_cents = subtotal_cents + tax_cents) NOT VALID,
    ADD CONSTRAINT orders_confirmed_is_paid CHECK (
        status <> 'CONFIRMED' OR request_hash IS NULL OR (total_cents IS NOT NULL AND payment_id IS NOT NULL)) NOT VALID,
    ADD CONSTRAINT orders_failed_has_reason CHECK (
        status <> 'FAILED' OR request_hash IS NULL OR failure_code IS NOT NULL) NOT VALID;

INSERT INTO schema_migrations (version) VALUES ('0001_tables');
