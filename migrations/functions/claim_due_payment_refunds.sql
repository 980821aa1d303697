-- Claims second payments whose refund is due, the longest due first: each is leased to the caller, and its attempts are counted up.
-- Checks are not among them: see claim_due_second_payments.
-- The queue is read from its low-water mark on: see scan_queues.
--
-- Returns JSON text for each: {payment_id, attempts, again_in_ms, age_ms, undecided, parked, foreign, order}; no row when none is due.
-- foreign: an order has taken the payment for its own.
-- Locks: the payments. SKIP LOCKED: rows that another transaction has locked are left out.
-- Commit: durable. A lost claim would give the same number of attempts to a second holder.
CREATE OR REPLACE FUNCTION claim_due_payment_refunds(p_limit INT, p_lease_ms INT) RETURNS SETOF TEXT LANGUAGE plpgsql AS
$$
DECLARE
    at TIMESTAMP := timezone('utc', clock_timestamp());
    mark TIMESTAMP := (find_marks()).refunds_from;
BEGIN
    RETURN QUERY UPDATE payment_refunds r SET
        attempts = r.attempts + 1,
        open_claims = r.open_claims + 1,
        -- Twenty claims without a stored outcome are a fault of the service or of the database.
        parked_at = CASE WHEN r.open_claims >= 20 THEN coalesce(r.parked_at, at) ELSE r.parked_at END,
        parked_reason = CASE WHEN r.open_claims >= 20 THEN coalesce(r.parked_reason, 'no outcome was stored') ELSE r.parked_reason END,
        due_at = at + p_lease_ms * interval '1 millisecond'
    FROM (SELECT d.payment_id FROM payment_refunds d WHERE d.due_at <= at AND d.due_at >= mark AND d.payment_id IS NOT NULL
          ORDER BY d.due_at LIMIT p_limit FOR UPDATE SKIP LOCKED) picked, orders o
    WHERE r.payment_id = picked.payment_id AND o.id = r.order_id
    RETURNING json_build_object(
        'payment_id', r.payment_id, 'attempts', r.attempts, 'age_ms', count_milliseconds(at - r.created_at),
        'again_in_ms', CASE WHEN r.again_at IS NOT NULL THEN count_milliseconds(r.again_at - at) END,
        'undecided', r.undecided, 'parked', r.parked_at IS NOT NULL,
        'foreign', EXISTS (SELECT FROM orders x WHERE x.payment_id = r.payment_id), 'order', render_state(o)::json)::text;
END
$$;
