-- Stores a new order in phase 'reserving' with its seat claims, its first journal entry, its first event and the counts; or nothing at
-- all. p_trace: {traceparent, tracestate}, the trace context of the request; NULL when it has none. p_sinks: whom events
-- are sent to; NULL: nobody. p_event: the id of the event that seats are ordered for (in apply_transition it is the type of the journal's
-- entry).
--
-- Returns {placed}; {taken, seats} when other live orders have seats of it (separated by commas); or as find_order when the
-- idempotency key is in use. Raises serialization_failure when a seat was claimed concurrently: repeated, it says which; and
-- read_only_sql_transaction on a read-only server, whose claims may be out of date since a failover.
-- Locks: the new rows; the seats' claims in ascending order.
-- Commit: may be asynchronous, and is. Losing it in a crash of PostgreSQL loses a hold that expires by itself, and no money was
-- asked for yet. The next transition, before the charge, is durable and everything before it with it.
CREATE OR REPLACE FUNCTION insert_order(
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
    p_sinks TEXT[]
) RETURNS TEXT[] LANGUAGE plpgsql AS
$$
DECLARE
    at TIMESTAMP := timezone('utc', clock_timestamp());
    durable TEXT;
    taken TEXT;
    taken_by_us INT;
    stored TEXT[];
BEGIN
    -- One index look-up a seat, whatever the planner estimates of the table.
    SELECT string_agg(c.seat_id::text, ',' ORDER BY c.seat_id) INTO taken
    FROM unnest(p_seats) AS s (id)
    CROSS JOIN LATERAL (SELECT seat_id FROM seat_claims WHERE event_id = p_event AND seat_id = s.id OFFSET 0) c;
    IF taken IS NOT NULL THEN
        -- The claims may be those of an earlier attempt of the same request.
        stored := find_order(p_key, p_hash, p_user, p_event, p_seats);
        IF stored[1] <> 'none' THEN
            RETURN stored;
        END IF;
        PERFORM require_writable_server();
        RETURN ARRAY['taken', taken];
    END IF;

    durable := current_setting('synchronous_commit');
    PERFORM set_config('synchronous_commit', 'off', true);
    INSERT INTO orders (id, idempotency_key, request_hash, user_id, event_id, seats, status, currency, phase,
                        created_at, updated_at, changed_xid, phase_since, expires_at, hold_until, due_at, leased, claimed,
                        traceparent, tracestate)
    VALUES (p_id, p_key, p_hash, p_user, p_event, p_seats, 'PENDING', p_currency, 'reserving',
            at, at, pg_current_xact_id(), at, at + p_ttl_seconds * interval '1 second', at + p_hold_seconds * interval '1 second',
            at + p_lease_ms * interval '1 millisecond', true, cardinality(p_seats), p_trace->>'traceparent', p_trace->>'tracestate')
    ON CONFLICT (idempotency_key) DO NOTHING;
    IF NOT FOUND THEN
        PERFORM set_config('synchronous_commit', durable, true);
        RETURN find_order(p_key, p_hash, p_user, p_event, p_seats);
    END IF;

    -- In ascending order, so that two orders for the same seats wait for each other and do not deadlock.
    INSERT INTO seat_claims (event_id, seat_id, order_id)
    SELECT p_event, s, p_id FROM unnest(p_seats) s ORDER BY s
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS taken_by_us = ROW_COUNT;
    IF taken_by_us <> cardinality(p_seats) THEN
        -- A seat was claimed since it was looked up. The statement is rolled back; repeated, it says which seat.
        RAISE EXCEPTION 'a seat was claimed meanwhile' USING ERRCODE = 'serialization_failure';
    END IF;

    INSERT INTO order_events (order_id, seq, type, at, actor, data, events, sequence, xid)
    VALUES (p_id, 1, 'order_placed', at, 'client', jsonb_build_object('seats', p_seats) || coalesce(p_trace, '{}'), '[{"type": "order.placed"}]', 1, pg_current_xact_id());
    IF p_sinks IS NOT NULL THEN
        PERFORM queue_events(p_id, 1, p_sinks, at);
    END IF;
    INSERT INTO order_changes (status, phase) VALUES ('PENDING', 'reserving');
    RETURN ARRAY['placed'];
END
$$;
