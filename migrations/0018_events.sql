-- Events for other systems, and the trace that an order belongs to. The journal is the store of the events: an entry that makes some has
-- them in `events`, and they are given their numbers in the statement that makes the entry.
SET LOCAL lock_timeout = '2s';

LOCK TABLE orders, order_events IN ACCESS EXCLUSIVE MODE;
-- W3C Trace Context of the request that placed the order; NULL when it had none.
ALTER TABLE orders ADD COLUMN traceparent TEXT, ADD COLUMN tracestate TEXT;
ALTER TABLE order_events
    -- [{"type", "data"}, ...]; data is what is not in the order's row for good. NULL: the entry makes no event.
    ADD COLUMN events JSONB,
    -- The sequence of the first of them: counted from 1 in each order, without gaps.
    ADD COLUMN sequence INT,
    -- The transaction that made the entry, where it makes events: the order in which they are listed.
    ADD COLUMN IF NOT EXISTS xid XID8;

-- How far each sink has got in each order: one row, whatever the number of events, so that only the first undelivered one can be sent.
CREATE TABLE event_deliveries (
    order_id     UUID      NOT NULL,
    sink         TEXT      NOT NULL,
    next         INT       NOT NULL, -- the sequence of the first event that is not delivered
    last         INT       NOT NULL, -- that of the order's last event
    due_at       TIMESTAMP,          -- NULL: all are delivered, or the first one is a dead letter
    attempts     INT       NOT NULL DEFAULT 0, -- of the first one, when the sink took others
    lease        INT       NOT NULL DEFAULT 0, -- fencing token: what comes of a claim counts only under its lease
    tried        JSONB     NOT NULL DEFAULT '[]', -- the last attempts: [{"at", "sequence", "status", "error"}, ...]
    delivered_at TIMESTAMP,          -- of the last one that was delivered
    dead_at      TIMESTAMP,
    PRIMARY KEY (order_id, sink)
);
CREATE INDEX event_deliveries_due ON event_deliveries (sink, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX event_deliveries_dead ON event_deliveries (dead_at) WHERE dead_at IS NOT NULL;

-- Of the whole sink.
CREATE TABLE event_sinks (
    sink         TEXT      PRIMARY KEY,
    off_at       TIMESTAMP, -- since when nothing is sent to it any more, because it said so
    paused_until TIMESTAMP, -- nothing is sent before, because it took nothing
    failures     INT       NOT NULL DEFAULT 0, -- how often it took nothing, one after the other
    failing_since TIMESTAMP, -- since when it has taken nothing
    failed_order UUID,      -- the only order that has failed since then; NULL: none, or several
    reason       TEXT
);
INSERT INTO event_sinks (sink) VALUES ('http'), ('kafka'), ('mqtt');

ALTER TABLE queue_scans
    ADD COLUMN events_from TIMESTAMP NOT NULL DEFAULT '-infinity', -- low-water mark: due_at of event_deliveries
    ADD COLUMN has_events  BOOLEAN   NOT NULL DEFAULT false;

-- As in 0017, and the deliveries go, too.
CREATE OR REPLACE FUNCTION delete_parts_of_order() RETURNS TRIGGER LANGUAGE plpgsql SET search_path = public, pg_temp AS
$$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        TRUNCATE order_events, seat_claims, event_deliveries;
        RETURN NULL;
    END IF;
    DELETE FROM order_items WHERE order_id = OLD.id;
    DELETE FROM tickets WHERE order_id = OLD.id;
    DELETE FROM order_events WHERE order_id = OLD.id;
    DELETE FROM event_deliveries WHERE order_id = OLD.id;
    PERFORM drop_claims(OLD);
    RETURN OLD;
END
$$;
INSERT INTO schema_migrations (version) VALUES ('0018_events');
