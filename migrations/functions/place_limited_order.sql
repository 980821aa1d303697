-- Old: stores a new order, for copies of the version before, which know of no traces and no sinks.
--
-- Returns what insert_limited_order returns.
-- Locks: as insert_limited_order.
-- Commit: as insert_limited_order.
CREATE OR REPLACE FUNCTION place_limited_order(
    p_id UUID,
    p_key TEXT,
    p_hash TEXT,
    p_user INT,
    p_event INT,
    p_seats INT[],
    p_currency TEXT,
    p_ttl_seconds INT,
    p_hold_seconds INT,
    p_lease_ms INT,
    p_limit INT,
    p_wait BOOLEAN
) RETURNS TEXT[] LANGUAGE plpgsql AS
$$
BEGIN
    RETURN insert_limited_order(p_id, p_key, p_hash, p_user, p_event, p_seats, p_currency, p_ttl_seconds, p_hold_seconds, p_lease_ms,
                                NULL, NULL, p_limit, p_wait);
END
$$;
