-- Claims due outbox messages for the sweep, the longest due first: each is leased to the caller, and its attempts are counted up.
--
-- Returns the messages; no row when none is due.
-- Locks: their rows. SKIP LOCKED: rows that another transaction has locked are left out.
-- Commit: durable. Losing it would mean one more delivery, which the message's id (its idempotency key) makes harmless.
CREATE OR REPLACE FUNCTION claim_due_messages(p_limit INT, p_lease_ms INT)
RETURNS TABLE (id UUID, order_id UUID, kind TEXT, payload TEXT, attempts INT) LANGUAGE plpgsql AS
$$
DECLARE
    at TIMESTAMP := timezone('utc', clock_timestamp());
BEGIN
    RETURN QUERY UPDATE outbox SET attempts = outbox.attempts + 1, due_at = at + p_lease_ms * interval '1 millisecond'
    FROM (SELECT o.id FROM outbox o WHERE o.dead_at IS NULL AND o.due_at <= at
          ORDER BY o.due_at LIMIT p_limit FOR UPDATE SKIP LOCKED) due
    WHERE outbox.id = due.id
    RETURNING outbox.id, outbox.order_id, outbox.kind, outbox.payload, outbox.attempts;
END
$$;
