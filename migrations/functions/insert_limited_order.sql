-- Stores a new order as insert_order does, unless its user has p_limit unpaid orders already. Exact also when a user sends many requests
-- at once: they come one after the other, by a lock of the user's.
--
-- Returns what insert_order does; or {limited, ms until the first of those orders expires}; or {locked} when another request of the user
-- is at work and p_wait is false: for a session that others share. With p_wait it waits for 250 ms, and then raises lock_not_available.
-- A request that was made before is found before the limit counts. An order that was cancelled or has failed counts until its seats are
-- given back, while Seating holds them: else whoever cancels while Payment or Seating is away could hold any number. Raises read_only_sql_transaction on a read-only server.
-- Locks: the user's advisory lock, then as insert_order.
-- Commit: as insert_order.
CREATE OR REPLACE FUNCTION insert_limited_order(
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
    p_trace JSONB,
    p_sinks TEXT[],
    p_limit INT,
    p_wait BOOLEAN
) RETURNS TEXT[] LANGUAGE plpgsql AS
$$
DECLARE
    -- The first of the two numbers of the lock: those of the service that have two are all of users.
    user_locks CONSTANT INT := 1869767;
    at TIMESTAMP := timezone('utc', clock_timestamp());
    unpaid BIGINT;
    first_expiry TIMESTAMP;
    stored TEXT[];
BEGIN
    PERFORM require_writable_server();
    IF p_wait THEN
        PERFORM set_config('lock_timeout', '250ms', true);
        PERFORM pg_advisory_xact_lock(user_locks, p_user);
    ELSIF NOT pg_try_advisory_xact_lock(user_locks, p_user) THEN
        RETURN ARRAY['locked'];
    END IF;

    -- Orders are unpaid for order_ttl_seconds, 15 minutes at most, or while nobody knows whether they are paid.
    SELECT count(*), min(o.ends_at) INTO unpaid, first_expiry
    FROM (
        SELECT CASE WHEN status = 'PENDING' THEN expires_at ELSE hold_until END AS ends_at FROM orders
        WHERE user_id = p_user AND created_at > at - interval '1 day' AND payment_status IS DISTINCT FROM 'SUCCESS'
          AND (status = 'PENDING' OR (status IN ('CANCELLED', 'FAILED') AND claimed > 0 AND hold_until > at))
    ) o;
    IF unpaid >= p_limit THEN
        stored := find_order(p_key, p_hash, p_user, p_event, p_seats);
        IF stored[1] <> 'none' THEN
            RETURN stored;
        END IF;
        RETURN ARRAY['limited', count_milliseconds(greatest(first_expiry - at, interval '0'))::text];
    END IF;
    RETURN insert_order(p_id, p_key, p_hash, p_user, p_event, p_seats, p_currency, p_ttl_seconds, p_hold_seconds, p_lease_ms,
                        p_trace, p_sinks);
END
$$;
