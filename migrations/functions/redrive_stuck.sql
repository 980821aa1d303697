-- Makes parked orders and dead letters due at once: those that are named, or all when a list is NULL; at most p_limit of each.
--
-- Returns how many. Locks: the orders, then the messages, skipping those that somebody else has locked; then a row of
-- order_counts. Commit: durable.
CREATE OR REPLACE FUNCTION redrive_stuck(p_orders UUID[], p_messages UUID[], p_limit INT, OUT orders INT, OUT messages INT)
LANGUAGE plpgsql AS
$$
DECLARE
    at TIMESTAMP := timezone('utc', clock_timestamp());
BEGIN
    WITH picked AS (
        SELECT o.id FROM orders o WHERE o.parked_at IS NOT NULL AND (p_orders IS NULL OR o.id = ANY (p_orders))
        ORDER BY o.parked_at LIMIT p_limit FOR UPDATE SKIP LOCKED
    ), driven AS (
        UPDATE orders o SET
            version = o.version + 1,
            updated_at = at,
            -- Not none: somebody has begun it before.
            attempts = 1,
            parked_at = NULL,
            parked_reason = NULL,
            -- Somebody who is at it goes on: what they may still send is waited for only when their lease is over.
            due_at = CASE WHEN o.phase <> 'done' THEN CASE WHEN o.leased THEN o.due_at ELSE at END END,
            watch_at = CASE WHEN o.phase = 'done' THEN CASE WHEN o.leased THEN o.watch_at ELSE at END END
        FROM picked WHERE o.id = picked.id RETURNING o.id, o.version
    )
    INSERT INTO order_events (order_id, seq, type, at, actor)
    SELECT d.id, d.version, 'redriven', at, 'operator' FROM driven d;
    GET DIAGNOSTICS orders = ROW_COUNT;

    UPDATE outbox m SET dead_at = NULL, attempts = 0, due_at = at
    FROM (SELECT d.id FROM outbox d WHERE d.dead_at IS NOT NULL AND (p_messages IS NULL OR d.id = ANY (p_messages))
          ORDER BY d.dead_at LIMIT p_limit FOR UPDATE SKIP LOCKED) picked
    WHERE m.id = picked.id;
    GET DIAGNOSTICS messages = ROW_COUNT;
    IF messages > 0 THEN
        UPDATE order_counts SET outbox = outbox + messages, dead_letters = dead_letters - messages
        WHERE shard = pg_backend_pid() % 64;
    END IF;
END
$$;
