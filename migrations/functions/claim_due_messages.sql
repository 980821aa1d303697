-- Claims due outbox messages for the sweep, the longest due first: each is leased to the caller, and its attempts are counted up.
-- Of one order only the oldest message that is neither delivered nor a dead letter is claimed, so that they arrive in order: an
-- older one was written by an earlier transition, so whoever sees the later one sees the older one, too, as long as it is there.
-- The queue is read from its low-water mark on: see scan_queues.
--
-- Returns the messages; no row when none is due.
-- Locks: their rows. SKIP LOCKED: rows that another transaction has locked are left out.
-- Commit: durable. Losing it would mean one more delivery, which the message's id (its idempotency key) makes harmless. And what
-- was committed asynchronously before, such as the deletion of the order's message before, is then durable, too.
CREATE OR REPLACE FUNCTION claim_due_messages(p_limit INT, p_lease_ms INT)
RETURNS TABLE (id UUID, order_id UUID, kind TEXT, payload TEXT, attempts INT) LANGUAGE plpgsql AS
$$
DECLARE
    at TIMESTAMP := timezone('utc', clock_timestamp());
    mark TIMESTAMP := (find_marks()).messages_from;
BEGIN
    -- What waits for an older message is due when that is, and not before: else every claim would pass it again.
    -- delete_message and postpone_message make it due as soon as the older one is out of the way.
    UPDATE outbox SET due_at = waiting.until
    FROM (SELECT o.id, greatest(older.due_at, at + interval '1 second') AS until
          FROM (SELECT d.id, d.order_id FROM outbox d WHERE d.dead_at IS NULL AND d.due_at <= at AND d.due_at >= mark
                ORDER BY d.due_at LIMIT 4 * p_limit FOR UPDATE SKIP LOCKED) o
          CROSS JOIN LATERAL (SELECT x.id, x.due_at FROM outbox x WHERE x.order_id = o.order_id AND x.dead_at IS NULL
                              ORDER BY x.seq, x.id LIMIT 1) older
          WHERE older.id <> o.id) waiting
    WHERE outbox.id = waiting.id;

    -- A subquery that is not flattened to a join: it is an index probe a row, however full the table is.
    RETURN QUERY UPDATE outbox SET attempts = outbox.attempts + 1, due_at = at + p_lease_ms * interval '1 millisecond'
    FROM (SELECT o.id FROM outbox o WHERE o.dead_at IS NULL AND o.due_at <= at AND o.due_at >= mark
          AND o.id = (SELECT x.id FROM outbox x WHERE x.order_id = o.order_id AND x.dead_at IS NULL
                      ORDER BY x.seq, x.id LIMIT 1)
          ORDER BY o.due_at LIMIT p_limit FOR UPDATE OF o SKIP LOCKED) due
    WHERE outbox.id = due.id
    RETURNING outbox.id, outbox.order_id, outbox.kind, outbox.payload, outbox.attempts;
END
$$;
