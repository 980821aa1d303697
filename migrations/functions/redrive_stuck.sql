-- Makes parked orders and dead letters due at once: those that are listed, or all when a list is NULL; at most p_limit of each.
--
-- Returns how many orders (with second payments of theirs) and how many messages.
-- Locks: the orders, then their second payments, then the messages. SKIP LOCKED: rows that another transaction has locked are left
-- out.
-- Commit: durable. What an operator was told must be on disk.
CREATE OR REPLACE FUNCTION redrive_stuck(p_orders UUID[], p_messages UUID[], p_limit INT, OUT orders INT, OUT messages INT)
LANGUAGE plpgsql AS
$$
DECLARE
    at TIMESTAMP := timezone('utc', clock_timestamp());
    second INT;
BEGIN
    WITH picked AS (
        SELECT o.id FROM orders o WHERE o.parked_at IS NOT NULL AND (p_orders IS NULL OR o.id = ANY (p_orders))
        ORDER BY o.parked_at LIMIT p_limit FOR UPDATE SKIP LOCKED
    ), driven AS (
        UPDATE orders o SET
            version = o.version + 1,
            updated_at = at,
            changed_xid = pg_current_xact_id(),
            -- Not zero: the action may have been begun before.
            attempts = 1,
            parked_at = NULL,
            parked_reason = NULL,
            -- A lease that is held goes on: what its holder may still send is waited for when the lease is over.
            due_at = CASE WHEN o.phase <> 'done' THEN CASE WHEN o.leased THEN o.due_at ELSE at END END,
            watch_at = CASE WHEN o.phase = 'done' THEN CASE WHEN o.leased THEN o.watch_at ELSE at END END
        FROM picked WHERE o.id = picked.id RETURNING o.id, o.version
    )
    INSERT INTO order_events (order_id, seq, type, at, actor)
    SELECT d.id, d.version, 'redriven', at, 'operator' FROM driven d;
    GET DIAGNOSTICS orders = ROW_COUNT;

    -- Second payments of the same orders. Here, too, a lease that is held goes on: its holder may be asking for the refund.
    UPDATE payment_refunds r SET
        due_at = CASE WHEN r.open_claims > 0 THEN r.due_at ELSE at END,
        parked_at = NULL,
        parked_reason = NULL
    FROM (SELECT p.id FROM payment_refunds p
          WHERE p.parked_at IS NOT NULL AND (p_orders IS NULL OR p.order_id = ANY (p_orders))
          ORDER BY p.parked_at LIMIT p_limit FOR UPDATE SKIP LOCKED) picked
    WHERE r.id = picked.id;
    GET DIAGNOSTICS second = ROW_COUNT;
    orders := orders + second;

    UPDATE outbox m SET dead_at = NULL, attempts = 0, due_at = at
    FROM (SELECT d.id FROM outbox d WHERE d.dead_at IS NOT NULL AND (p_messages IS NULL OR d.id = ANY (p_messages))
          ORDER BY d.dead_at LIMIT p_limit FOR UPDATE SKIP LOCKED) picked
    WHERE m.id = picked.id;
    GET DIAGNOSTICS messages = ROW_COUNT;
    IF messages > 0 THEN
        INSERT INTO order_changes (outbox, dead_letters) VALUES (messages, -messages);
        -- They have been waiting since long ago: before the low-water mark.
        PERFORM request_full_scan();
    END IF;
END
$$;
