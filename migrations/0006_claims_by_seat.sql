-- As 0005, for the seats of orders that are given up, or paid after all: made while a table had a few rows, the plan that looked
-- for them read all claims of the event. Now it is one look into the index for each seat.

-- The order that has claimed a seat; NULL when none has.
CREATE FUNCTION seat_holder(p_event INT, p_seat INT) RETURNS UUID LANGUAGE plpgsql VOLATILE AS
$$
BEGIN
    RETURN (SELECT c.order_id FROM seat_claims c WHERE c.event_id = p_event AND c.seat_id = p_seat);
END
$$;

-- Claims those seats of an order that it has not; how many those were, or NULL, and nothing is claimed, when another order has
-- one of its seats. The order must be locked.
CREATE FUNCTION take_claims(o orders) RETURNS INT LANGUAGE plpgsql AS
$$
DECLARE
    ours INT;
BEGIN
    IF EXISTS (SELECT FROM unnest(o.seats) AS s (id) WHERE seat_holder(o.event_id, s.id) <> o.id) THEN
        RETURN NULL;
    END IF;
    -- In ascending order, so that two orders for the same seats wait for each other and do not deadlock.
    INSERT INTO seat_claims (event_id, seat_id, order_id)
    SELECT o.event_id, s, o.id FROM unnest(o.seats) s ORDER BY s
    ON CONFLICT DO NOTHING;
    SELECT count(*) INTO ours FROM unnest(o.seats) AS s (id) WHERE seat_holder(o.event_id, s.id) = o.id;
    IF ours <> cardinality(o.seats) THEN
        RAISE EXCEPTION 'a seat was claimed meanwhile' USING ERRCODE = 'serialization_failure';
    END IF;
    RETURN ours - o.claimed;
END
$$;

-- Gives up the claims that an order has; how many those were. The order must be locked.
CREATE FUNCTION drop_claims(o orders) RETURNS INT LANGUAGE plpgsql AS
$$
DECLARE
    seat INT;
    n INT;
    dropped INT := 0;
BEGIN
    FOREACH seat IN ARRAY o.seats LOOP
        DELETE FROM seat_claims c WHERE c.event_id = o.event_id AND c.seat_id = seat AND c.order_id = o.id;
        GET DIAGNOSTICS n = ROW_COUNT;
        dropped := dropped + n;
    END LOOP;
    RETURN dropped;
END
$$;

-- What somebody hears whose version of an order is not the latest.
CREATE FUNCTION conflict_with(o orders, p_document BOOLEAN) RETURNS TEXT[] LANGUAGE plpgsql STABLE AS
$$
BEGIN
    RETURN ARRAY['conflict', order_state(o), CASE WHEN p_document THEN order_document(o) END];
END
$$;

-- See 0004 for what it does and returns.
CREATE OR REPLACE FUNCTION store_transition(
    p_id UUID, p_version INT, p_lease INT, p_was_status TEXT, p_was_phase TEXT, p_status TEXT, p_phase TEXT, p_hold TEXT,
    p_attempts INT, p_payment_id UUID, p_payment_status TEXT, p_payment_unsure BOOLEAN, p_given_up BOOLEAN, p_parked BOOLEAN,
    p_due TEXT, p_due_ms BIGINT, p_leased BOOLEAN, p_subtotal INT, p_tax INT, p_total INT, p_seat_codes TEXT[],
    p_seat_prices INT[], p_ticket_ids TEXT[], p_ticket_codes TEXT[], p_event TEXT, p_actor TEXT, p_data JSONB, p_more JSONB,
    p_document BOOLEAN
) RETURNS TEXT[] LANGUAGE plpgsql AS
$$
DECLARE
    at TIMESTAMP := timezone('utc', clock_timestamp());
    o orders;
    issued INT := 0;
    voided INT := 0;
    claims INT := 0;
BEGIN
    -- What the charge answered need not be on disk while the payment is pending: losing it in a crash of PostgreSQL leaves the
    -- order in phase 'charging', whose charge is repeated under the same key and gives the same payment.
    IF p_phase = 'awaiting_payment' AND p_was_phase = 'charging' AND p_payment_status = 'PENDING' THEN
        PERFORM set_config('synchronous_commit', 'off', true);
    END IF;

    -- Tickets and claims are written before the order's row, which counts what was really written.
    IF p_ticket_ids IS NOT NULL OR p_more ?| ARRAY['void_tickets', 'claims'] THEN
        SELECT * INTO o FROM orders WHERE id = p_id FOR UPDATE;
        IF NOT FOUND THEN
            RETURN ARRAY['gone'];
        ELSIF o.version <> p_version OR o.lease <> p_lease THEN
            RETURN conflict_with(o, p_document);
        END IF;
        IF p_more->>'claims' = 'take' THEN
            claims := take_claims(o);
            IF claims IS NULL THEN
                RETURN ARRAY['claimed', order_state(o)];
            END IF;
        ELSIF p_more->>'claims' = 'drop' THEN
            claims := -drop_claims(o);
        END IF;
        IF p_ticket_ids IS NOT NULL THEN
            INSERT INTO tickets (id, order_id, seat_id, ticket_code, issued_at)
            SELECT t.id::uuid, p_id, t.seat_id, t.code, at FROM unnest(p_ticket_ids, o.seats, p_ticket_codes) AS t (id, seat_id, code);
            GET DIAGNOSTICS issued = ROW_COUNT;
        ELSIF p_more ? 'void_tickets' THEN
            UPDATE tickets t SET voided_at = at WHERE t.order_id = p_id AND t.voided_at IS NULL;
            GET DIAGNOSTICS voided = ROW_COUNT;
        END IF;
    END IF;

    UPDATE orders w SET
        version = p_version + 1,
        updated_at = at,
        status = p_status,
        phase = p_phase,
        phase_since = CASE WHEN p_phase = p_was_phase THEN w.phase_since ELSE at END,
        hold = p_hold,
        failure_code = p_more->>'failure_code',
        failure_detail = p_more->>'failure_detail',
        subtotal_cents = coalesce(p_subtotal, w.subtotal_cents),
        tax_cents = coalesce(p_tax, w.tax_cents),
        total_cents = coalesce(p_total, w.total_cents),
        payment_id = p_payment_id,
        payment_status = p_payment_status,
        payment_unsure = p_payment_unsure,
        given_up = p_given_up,
        attempts = p_attempts,
        parked_at = CASE WHEN p_parked THEN coalesce(w.parked_at, at) END,
        parked_reason = CASE WHEN p_parked THEN coalesce(p_data->>'reason', w.parked_reason) END,
        expires_at = coalesce(at + (p_more->>'renew_seconds')::int * interval '1 second', w.expires_at),
        hold_until = coalesce(at + (p_more->>'renew_hold_seconds')::int * interval '1 second', w.hold_until),
        in_flight_until = greatest(w.in_flight_until, at + (p_more->>'in_flight_ms')::int * interval '1 millisecond'),
        due_at = CASE WHEN p_phase <> 'done' THEN CASE p_due
            WHEN 'in' THEN at + p_due_ms * interval '1 millisecond'
            WHEN 'unchanged' THEN coalesce(w.due_at, w.watch_at)
            WHEN 'expiry' THEN greatest(at, coalesce(at + (p_more->>'renew_seconds')::int * interval '1 second', w.expires_at))
            WHEN 'settled' THEN greatest(at, w.in_flight_until) END END,
        watch_at = CASE WHEN p_phase = 'done' THEN CASE p_due
            WHEN 'in' THEN at + p_due_ms * interval '1 millisecond'
            WHEN 'unchanged' THEN coalesce(w.due_at, w.watch_at)
            -- When twice as much time has passed since the order came to rest.
            WHEN 'watch' THEN at + greatest(p_due_ms * interval '1 millisecond', CASE WHEN p_was_phase = 'done'
                THEN least(at - w.phase_since, (p_more->>'watch_cap_ms')::bigint * interval '1 millisecond') END) END END,
        lease = w.lease + (p_due <> 'unchanged')::int,
        leased = CASE WHEN p_due = 'unchanged' THEN w.leased ELSE p_leased END,
        valid_tickets = w.valid_tickets + issued - voided,
        claimed = w.claimed + claims
    WHERE w.id = p_id AND w.version = p_version AND w.lease = coalesce(p_lease, w.lease)
    RETURNING * INTO o;
    IF NOT FOUND THEN
        -- Read without a lock: this statement has written nothing, and its commit need not wait for the log.
        SELECT * INTO o FROM orders WHERE id = p_id;
        IF NOT FOUND THEN
            RETURN ARRAY['gone'];
        END IF;
        RETURN conflict_with(o, p_document);
    END IF;

    IF p_seat_prices IS NOT NULL THEN
        INSERT INTO order_items (order_id, seat_id, seat_code, seat_price_cents)
        SELECT p_id, i.seat_id, i.code, i.price FROM unnest(o.seats, p_seat_codes, p_seat_prices) AS i (seat_id, code, price);
    END IF;
    INSERT INTO order_events (order_id, seq, type, at, actor, data)
    VALUES (p_id, o.version, p_event, at, p_actor, p_data);
    IF p_more IS NOT NULL THEN
        IF p_more ? 'refund_was' THEN
            PERFORM refund_follow(o, p_was_phase, p_more->>'refund_was', p_event, at);
        END IF;
        IF p_more ? 'message' THEN
            INSERT INTO outbox (id, order_id, kind, payload, due_at)
            VALUES ((p_more->'message'->>'id')::uuid, p_id, p_more->'message'->>'kind', p_more->'message'->>'payload',
                    at + (p_more->'message'->>'lease_ms')::int * interval '1 millisecond');
        END IF;
    END IF;

    -- Counts are the last that a transaction locks, always in the same order (order_counts, then failure_counts), so that
    -- they cannot deadlock.
    IF p_status <> p_was_status OR p_phase <> p_was_phase OR issued > 0 OR p_more ? 'message' THEN
        UPDATE order_counts SET
            tickets          = tickets + issued,
            outbox           = outbox           + coalesce(p_more ? 'message', false)::int,
            pending          = pending          + (p_status = 'PENDING')::int         - (p_was_status = 'PENDING')::int,
            confirmed        = confirmed        + (p_status = 'CONFIRMED')::int       - (p_was_status = 'CONFIRMED')::int,
            cancelled        = cancelled        + (p_status = 'CANCELLED')::int       - (p_was_status = 'CANCELLED')::int,
            failed           = failed           + (p_status = 'FAILED')::int          - (p_was_status = 'FAILED')::int,
            refunded         = refunded         + (p_status = 'REFUNDED')::int        - (p_was_status = 'REFUNDED')::int,
            reserving        = reserving        + (p_phase = 'reserving')::int        - (p_was_phase = 'reserving')::int,
            charging         = charging         + (p_phase = 'charging')::int         - (p_was_phase = 'charging')::int,
            awaiting_payment = awaiting_payment + (p_phase = 'awaiting_payment')::int - (p_was_phase = 'awaiting_payment')::int,
            allocating       = allocating       + (p_phase = 'allocating')::int       - (p_was_phase = 'allocating')::int,
            refunding        = refunding        + (p_phase = 'refunding')::int        - (p_was_phase = 'refunding')::int,
            releasing        = releasing        + (p_phase = 'releasing')::int        - (p_was_phase = 'releasing')::int
        WHERE shard = pg_backend_pid() % 64;
    END IF;
    IF p_more ? 'failure_is_new' THEN
        INSERT INTO failure_counts AS f (shard, code, value) VALUES (pg_backend_pid() % 64, o.failure_code, 1)
        ON CONFLICT (shard, code) DO UPDATE SET value = f.value + 1;
    END IF;

    RETURN ARRAY['applied', o.version::text, o.lease::text, milliseconds(o.expires_at - at)::text,
        milliseconds(o.hold_until - at)::text, milliseconds(o.in_flight_until - at)::text,
        CASE WHEN p_document THEN order_document(o) END];
END
$$;

INSERT INTO schema_migrations (version) VALUES ('0006_claims_by_seat');
