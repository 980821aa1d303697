-- Claims second payments that are due, the longest due first, at most p_limit whose refund is due and as many checks: each is leased
-- to the caller, and its attempts are counted up. The queue is read from its low-water mark on: see scan_queues.
--
-- Returns JSON text for each: what claim_due_payment_refunds returns, and for a check {check_id, told_payment_id, attempts, age_ms,
-- seen, unknown, parked, order}; no row when none is due.
-- Locks: the payments, then the checks. SKIP LOCKED: rows that another transaction has locked are left out.
-- Commit: durable. A lost claim would give the same number of attempts to a second holder.
CREATE OR REPLACE FUNCTION claim_due_second_payments(p_limit INT, p_lease_ms INT) RETURNS SETOF TEXT LANGUAGE plpgsql AS
$$
DECLARE
    at TIMESTAMP := timezone('utc', clock_timestamp());
    mark TIMESTAMP := (find_marks()).refunds_from;
BEGIN
    RETURN QUERY SELECT claim_due_payment_refunds(p_limit, p_lease_ms);
    RETURN QUERY UPDATE payment_refunds r SET
        attempts = r.attempts + 1,
        open_claims = r.open_claims + 1,
        -- Twenty claims without a stored outcome are a fault of the service or of the database.
        parked_at = CASE WHEN r.open_claims >= 20 THEN coalesce(r.parked_at, at) ELSE r.parked_at END,
        parked_reason = CASE WHEN r.open_claims >= 20 THEN coalesce(r.parked_reason, 'no outcome was stored') ELSE r.parked_reason END,
        due_at = at + p_lease_ms * interval '1 millisecond'
    FROM (SELECT d.id FROM payment_refunds d WHERE d.due_at <= at AND d.due_at >= mark AND d.payment_id IS NULL
          ORDER BY d.due_at LIMIT p_limit FOR UPDATE SKIP LOCKED) picked, orders o
    WHERE r.id = picked.id AND o.id = r.order_id
    RETURNING json_build_object(
        'check_id', r.id, 'told_payment_id', r.told_payment_id, 'attempts', r.attempts,
        'age_ms', count_milliseconds(at - r.created_at), 'seen', r.seen, 'unknown', r.unknown,
        'parked', r.parked_at IS NOT NULL, 'order', render_state(o)::json)::text;
END
$$;
