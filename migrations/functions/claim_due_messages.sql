-- Claims due outbox messages for the sweep, the longest due first: each is leased to the caller, and its attempts are counted up.
-- The queue is read from its low-water mark on: see scan_queues, which is called.
--
-- Returns the messages; no row when none is due.
-- Locks: their rows. SKIP LOCKED: rows that another transaction has locked are left out.
-- Commit: durable. Losing it would mean one more delivery, which the message's id (its idempotency key) makes harmless.
CREATE OR REPLACE FUNCTION claim_due_messages(p_limit INT, p_lease_ms INT)
RETURNS TABLE (id UUID, order_id UUID, kind TEXT, payload TEXT, attempts INT) LANGUAGE plpgsql AS
$$
DECLARE
    at TIMESTAMP := timezone('utc', clock_timestamp());
    mark TIMESTAMP;
    due UUID[];
BEGIN
    PERFORM scan_queues(at);
    SELECT s.messages_from INTO mark FROM queue_scans s ORDER BY s.id DESC LIMIT 1;
    SELECT array_agg(x.id) INTO due FROM (
        SELECT p.id FROM (SELECT o.id FROM outbox o WHERE o.dead_at IS NULL AND o.due_at < o.created_at AND o.due_at < mark
                          ORDER BY o.due_at LIMIT greatest(1, p_limit / 2) FOR UPDATE SKIP LOCKED) p
        UNION ALL
        SELECT w.id FROM (SELECT o.id FROM outbox o WHERE o.dead_at IS NULL AND o.due_at <= at AND o.due_at >= mark
                          ORDER BY o.due_at LIMIT p_limit FOR UPDATE SKIP LOCKED) w
        LIMIT p_limit) x;
    RETURN QUERY UPDATE outbox SET attempts = outbox.attempts + 1, due_at = at + p_lease_ms * interval '1 millisecond'
    WHERE outbox.id = ANY (due)
    RETURNING outbox.id, outbox.order_id, outbox.kind, outbox.payload, outbox.attempts;
END
$$;
