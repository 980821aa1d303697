-- Stores what came of a claimed check: it is done, and deleted (p_wait_ms is NULL), or Payment is asked again after p_wait_ms. Only if
-- nobody has claimed it since: p_attempts is the number of the claim.
--
-- p_seen: Payment has shown the payment now; p_unknown: how often in a row it has not known it.
-- Returns whether it was stored.
-- Locks: the check.
-- Commit: durable.
CREATE OR REPLACE FUNCTION store_check_outcome(
    p_id BIGINT,
    p_attempts INT,
    p_wait_ms BIGINT,
    p_seen BOOLEAN,
    p_unknown INT,
    p_parked BOOLEAN,
    p_reason TEXT
) RETURNS BOOLEAN LANGUAGE plpgsql AS
$$
DECLARE
    at TIMESTAMP := timezone('utc', clock_timestamp());
BEGIN
    IF p_wait_ms IS NULL THEN
        DELETE FROM payment_refunds WHERE id = p_id AND payment_id IS NULL AND attempts = p_attempts;
        RETURN FOUND;
    END IF;
    UPDATE payment_refunds r SET
        due_at = at + p_wait_ms * interval '1 millisecond',
        open_claims = 0,
        seen = r.seen OR p_seen,
        watched = p_seen,
        unknown = p_unknown,
        parked_at = CASE WHEN p_parked THEN coalesce(r.parked_at, at) END,
        parked_reason = CASE WHEN p_parked THEN coalesce(p_reason, r.parked_reason) END
    WHERE r.id = p_id AND r.payment_id IS NULL AND r.attempts = p_attempts;
    RETURN FOUND;
END
$$;
