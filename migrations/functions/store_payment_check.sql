-- Old: stores what came of a claimed check, for copies of the version before: see store_check_outcome.
--
-- Returns whether it was stored.
-- Locks: the check.
-- Commit: durable.
CREATE OR REPLACE FUNCTION store_payment_check(p_id BIGINT, p_attempts INT, p_wait_ms BIGINT, p_parked BOOLEAN, p_reason TEXT)
RETURNS BOOLEAN LANGUAGE plpgsql AS
$$
BEGIN
    RETURN store_check_outcome(p_id, p_attempts, p_wait_ms, false, 0, p_parked, p_reason);
END
$$;
