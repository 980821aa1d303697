-- The messages of one order are delivered in its order: which of them was written first. In a database that was at work
-- before, those that still wait have 0, and come before all later ones.
SET LOCAL lock_timeout = '2s';

ALTER TABLE outbox ADD COLUMN seq INT NOT NULL DEFAULT 0; -- that of the journal's entry that was written with it

-- The oldest message of an order that is neither delivered nor a dead letter is the end of this index.
CREATE INDEX outbox_order ON outbox (order_id, seq, id) WHERE dead_at IS NULL;

INSERT INTO schema_migrations (version) VALUES ('0007_message_order');
