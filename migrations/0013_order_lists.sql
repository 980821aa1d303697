-- Lists of orders: by time, by user, by event, and in the order in which they changed.
SET LOCAL lock_timeout = '2s';

-- Newest first. Before anything that keeps readers out, because making an index takes a while. Plain columns, no conditions: those are
-- prepared anew by each statement that writes an order. IF NOT EXISTS: where there are many orders, they may be made before, CONCURRENTLY.
CREATE INDEX IF NOT EXISTS orders_created ON orders (created_at, id);
CREATE INDEX IF NOT EXISTS orders_user ON orders (user_id, created_at, id);
CREATE INDEX IF NOT EXISTS orders_event ON orders (event_id, created_at, id);
-- Which orders have had a seat. Items are only inserted.
CREATE INDEX IF NOT EXISTS order_items_seat ON order_items (seat_id);

-- The transaction that changed last what the order's document shows. Time is not the order of commits; what has a number below that of
-- the oldest running transaction is complete. Orders from before have 0, and a default that is constant rewrites no table.
ALTER TABLE orders ADD COLUMN IF NOT EXISTS changed_xid xid8 NOT NULL DEFAULT '0';
-- For orders that are inserted by hand. An UPDATE by hand must set it.
ALTER TABLE orders ALTER COLUMN changed_xid SET DEFAULT pg_current_xact_id();

-- At `at` every transaction with a number below `xid` had ended: where to begin for what has changed since a time. A row for each scan
-- of the queues; in time fewer are left (mark_changes).
CREATE TABLE change_marks (
    id    BIGINT    PRIMARY KEY,
    at    TIMESTAMP NOT NULL,
    xid   xid8      NOT NULL,
    level INT       NOT NULL -- the first one of an hour: 2, of a minute: 1, others: 0
);

INSERT INTO schema_migrations (version) VALUES ('0013_order_lists');
