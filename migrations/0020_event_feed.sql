-- The way in to the events that were made since. A file of its own: 0018 keeps readers out for a moment, and making an index reads the whole
-- journal, although there is nothing to put into it yet.
SET LOCAL lock_timeout = '2s';

CREATE INDEX IF NOT EXISTS order_events_feed ON order_events (xid, order_id, seq) WHERE xid IS NOT NULL;

INSERT INTO schema_migrations (version) VALUES ('0020_event_feed');
