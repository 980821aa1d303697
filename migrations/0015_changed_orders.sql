-- The way in to the orders that have changed since. A file of its own: 0013 keeps readers out for a moment, and making an index takes a
-- while.
SET LOCAL lock_timeout = '2s';

CREATE INDEX IF NOT EXISTS orders_changed ON orders (changed_xid, id);

INSERT INTO schema_migrations (version) VALUES ('0015_changed_orders');
