-- Looks an idempotency key up.
--
-- Returns {none}: the key is not in use; {other}: another request used it; {same, state, document}: this request placed that order.
-- A read-only server may be behind since a failover: what it answers has one element more, 'read-only'.
-- Locks: the order FOR KEY SHARE while it has its first version; else nothing.
-- Commit: durable. An order that a client is told of must be on disk, and insert_order commits asynchronously.
CREATE OR REPLACE FUNCTION find_order(p_key TEXT, p_hash TEXT, p_user INT, p_event INT, p_seats INT[]) RETURNS TEXT[]
LANGUAGE plpgsql AS
$$
DECLARE
    o orders;
    read_only TEXT[] := CASE WHEN current_setting('transaction_read_only') = 'on' THEN ARRAY['read-only'] END;
BEGIN
    SELECT * INTO o FROM orders WHERE idempotency_key = p_key;
    IF NOT FOUND THEN
        RETURN ARRAY['none'] || read_only;
    END IF;
    -- Inherited orders have no hash: their row is compared.
    IF (CASE WHEN o.request_hash IS NOT NULL THEN o.request_hash = p_hash
             ELSE o.user_id = p_user AND o.event_id = p_event AND o.seats IN (p_seats, '{}') END) IS NOT TRUE THEN
        RETURN ARRAY['other'] || read_only;
    END IF;
    IF o.version = 1 THEN
        -- A row lock is written to the log, so that this statement's commit waits for the log, the order with it.
        PERFORM FROM orders WHERE id = o.id FOR KEY SHARE;
    END IF;
    RETURN ARRAY['same', render_state(o), render_document(o)] || read_only;
END
$$;
