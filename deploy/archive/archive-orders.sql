-- Moves orders of events that are over to the schema `archive`, one row an order, as JSON with all that belongs to it:
--
--     psql -X -v events=101,102 -v older_than='13 months' -f deploy/archive/archive-orders.sql "$DATABASE"
--
-- events: only those that are over. An order's seats are kept from being sold twice by its rows in seat_claims, which go with it.
-- older_than: nothing has happened to the order for so long. An idempotency key is remembered as long as its order is there.
--
-- Only orders at rest are taken: nothing is left to do, no payment is watched or in doubt, no message and no event waits, and none is a
-- dead letter. A thousand orders a
-- transaction; an order that somebody works on is left out. Run it again, and it goes on. Counters keep counting what was archived.
\set ON_ERROR_STOP on
\set QUIET on
SET client_min_messages = notice;
SET lock_timeout = '60s';
SET search_path = public, pg_temp;
SET statement_timeout = 0;

CREATE SCHEMA IF NOT EXISTS archive;
CREATE TABLE IF NOT EXISTS archive.orders (
    id              UUID      PRIMARY KEY,
    idempotency_key TEXT,
    event_id        INT,
    archived_at     TIMESTAMP NOT NULL DEFAULT timezone('utc', now()),
    "order"         JSONB     NOT NULL -- the row, with items, tickets, events, refund and payment_refunds
);
CREATE INDEX IF NOT EXISTS archived_orders_key ON archive.orders (idempotency_key);

SELECT set_config('archive.events', :'events', false), set_config('archive.older_than', :'older_than', false) \g /dev/null

DO $$
BEGIN
    IF current_setting('archive.older_than')::interval < interval '1 day' THEN
        RAISE EXCEPTION 'older_than is %: it must be a day or more, such as 13 months', current_setting('archive.older_than');
    END IF;
END $$;

-- Looked for once: all orders of the events are read.
CREATE TEMPORARY TABLE candidates AS
SELECT id FROM orders
WHERE event_id = ANY (string_to_array(current_setting('archive.events'), ',')::int[]) AND phase = 'done' AND status <> 'PENDING'
  AND updated_at < timezone('utc', now()) - current_setting('archive.older_than')::interval
  AND id NOT IN (SELECT id FROM order_violations);
CREATE INDEX ON candidates (id);
-- Of the version before, when it was interrupted.
DROP INDEX CONCURRENTLY IF EXISTS seat_claims_archive;
SET enable_seqscan = off;
-- Rows are deleted in the order of their keys, in which others lock them, too.
SET enable_bitmapscan = off;

CREATE PROCEDURE pg_temp.archive_orders() LANGUAGE plpgsql AS
$$
DECLARE
    before CONSTANT TIMESTAMP := timezone('utc', now()) - current_setting('archive.older_than')::interval;
    looked_at UUID[];
    locked UUID[];
    batch UUID[];
    moved BIGINT := 0;
BEGIN
    LOOP
        SELECT array_agg(id) INTO looked_at FROM (SELECT id FROM candidates ORDER BY id LIMIT 1000) first;
        EXIT WHEN looked_at IS NULL;
        -- First locked and then looked at: a payment check is stored without a change of its order (add_payment_check), so that a snapshot
        -- from before the lock may not show it.
        SELECT coalesce(array_agg(id), '{}') INTO locked FROM (
            SELECT o.id FROM orders o WHERE o.id = ANY (looked_at) ORDER BY o.id FOR UPDATE SKIP LOCKED) free;
        SELECT coalesce(array_agg(id ORDER BY id), '{}') INTO batch FROM (
            SELECT o.id FROM orders o
            WHERE o.id = ANY (locked) AND o.updated_at < before AND o.phase = 'done' AND o.status <> 'PENDING'
              AND o.watch_at IS NULL AND NOT o.payment_unsure AND o.parked_at IS NULL
              AND NOT EXISTS (SELECT FROM outbox m WHERE m.order_id = o.id)
              AND NOT EXISTS (SELECT FROM event_deliveries d WHERE d.order_id = o.id AND d.next <= d.last)
              AND NOT EXISTS (SELECT FROM refunds r WHERE r.order_id = o.id AND r.settled_at IS NULL)
              AND NOT EXISTS (SELECT FROM payment_refunds p WHERE p.order_id = o.id AND p.due_at IS NOT NULL)) rest;
        INSERT INTO archive.orders (id, idempotency_key, event_id, "order")
        SELECT o.id, o.idempotency_key, o.event_id, to_jsonb(o) || jsonb_build_object(
            'items', (SELECT coalesce(jsonb_agg(to_jsonb(i) - 'order_id' ORDER BY i.id), '[]') FROM order_items i WHERE i.order_id = o.id),
            'tickets', (SELECT coalesce(jsonb_agg(to_jsonb(t) - 'order_id' ORDER BY t.seat_id), '[]') FROM tickets t WHERE t.order_id = o.id),
            'events', (SELECT coalesce(jsonb_agg(to_jsonb(e) - 'order_id' ORDER BY e.seq), '[]') FROM order_events e WHERE e.order_id = o.id),
            'refund', (SELECT to_jsonb(r) - 'order_id' FROM refunds r WHERE r.order_id = o.id),
            'payment_refunds', (SELECT coalesce(jsonb_agg(to_jsonb(p) - 'order_id'), '[]') FROM payment_refunds p WHERE p.order_id = o.id))
        FROM orders o WHERE o.id = ANY (batch);
        -- What belongs to it goes with it: by the trigger orders_deleted, refunds by their foreign keys.
        DELETE FROM orders WHERE id = ANY (batch);
        DELETE FROM candidates WHERE id = ANY (looked_at);
        moved := moved + cardinality(batch);
        COMMIT;
        RAISE NOTICE '% orders are archived', moved;
    END LOOP;
END
$$;
CALL pg_temp.archive_orders();
SELECT count(*) || ' orders are in archive.orders' AS told FROM archive.orders \gset
\echo :told
