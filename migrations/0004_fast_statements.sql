-- The statements again, made for speed: what each does is as before, and what it costs PostgreSQL is about half.
--
-- Why they were slow, and so how functions are written from here on:
-- * A function in SQL that PostgreSQL cannot inline is parsed and planned anew in every transaction; one in PL/pgSQL once
--   a connection. So everything that is more than one expression is PL/pgSQL.
-- * A value from another function of ours is passed as scalars or as a whole row that is read once.
-- * Changes come as typed parameters. Only what is rare in an order's life comes as JSON.
-- * One row with all values is an array of text, and not a table: PostgreSQL need not plan a scan for it.
--
-- The functions of 0002 and 0003 (order_place, order_apply, order_load, order_read, order_find) stay for copies of the
-- version before, and go with a later migration.

-- STABLE, as what it calls is: PostgreSQL would not inline it otherwise.
CREATE OR REPLACE FUNCTION rfc3339(t TIMESTAMP) RETURNS TEXT LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT to_char(t, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') $$;

-- An interval in whole milliseconds; -1 when there is none.
CREATE FUNCTION milliseconds(i INTERVAL) RETURNS BIGINT LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT coalesce((extract(epoch FROM i) * 1000)::bigint, -1) $$;

CREATE OR REPLACE FUNCTION order_state(o orders) RETURNS TEXT LANGUAGE plpgsql STABLE AS
$$
DECLARE
    at TIMESTAMP := timezone('utc', clock_timestamp());
BEGIN
    RETURN json_build_object(
        'id', o.id, 'version', o.version, 'user_id', coalesce(o.user_id, 0), 'event_id', coalesce(o.event_id, 0),
        'seats', o.seats, 'status', o.status, 'phase', o.phase, 'hold', o.hold,
        'failure_code', o.failure_code, 'failure_detail', o.failure_detail, 'currency', o.currency,
        'subtotal_cents', coalesce(o.subtotal_cents, o.total_cents - o.tax_cents), 'tax_cents', o.tax_cents,
        'total_cents', o.total_cents, 'payment_id', o.payment_id, 'payment_status', o.payment_status,
        'attempts', o.attempts, 'lease', o.lease,
        'expires_in_ms', milliseconds(o.expires_at - at), 'hold_in_ms', milliseconds(o.hold_until - at),
        'in_flight_ms', milliseconds(o.in_flight_until - at),
        'given_up', o.given_up, 'payment_unsure', o.payment_unsure, 'parked', o.parked_at IS NOT NULL
    )::text;
END
$$;

CREATE OR REPLACE FUNCTION order_document(o orders) RETURNS TEXT LANGUAGE plpgsql STABLE AS
$$
BEGIN
    RETURN json_build_object(
        'order', json_build_object(
            'id', o.id, 'idempotency_key', o.idempotency_key, 'user_id', o.user_id, 'event_id', o.event_id,
            'status', o.status, 'phase', o.phase,
            'failure', CASE
                WHEN o.failure_code IS NOT NULL THEN json_build_object('code', o.failure_code, 'detail', o.failure_detail)
                WHEN o.status = 'FAILED' THEN json_build_object('code', 'order_failed', 'detail', 'The order failed; the reason was not recorded.')
            END,
            'currency', o.currency,
            'subtotal_cents', coalesce(o.subtotal_cents, o.total_cents - o.tax_cents),
            'tax_cents', o.tax_cents, 'total_cents', o.total_cents,
            'expires_at', CASE WHEN o.status = 'PENDING' THEN rfc3339(o.expires_at) END,
            'created_at', rfc3339(o.created_at), 'updated_at', rfc3339(o.updated_at)),
        'items', coalesce((
            SELECT json_agg(json_build_object('seat_id', i.seat_id, 'seat_code', i.seat_code, 'seat_price_cents', i.seat_price_cents) ORDER BY i.seat_id, i.id)
            FROM order_items i WHERE i.order_id = o.id), '[]'),
        'tickets', coalesce((
            SELECT json_agg(json_build_object('id', t.id, 'seat_id', t.seat_id, 'ticket_code', t.ticket_code,
                'status', CASE WHEN t.voided_at IS NULL THEN 'VALID' ELSE 'VOID' END, 'issued_at', rfc3339(t.issued_at)) ORDER BY t.seat_id, t.id)
            FROM tickets t WHERE t.order_id = o.id), '[]'),
        'payment', CASE WHEN o.payment_id IS NOT NULL THEN
            json_build_object('id', o.payment_id, 'status', o.payment_status, 'amount_cents', o.total_cents) END
    )::text;
END
$$;

-- What an order's row must always satisfy. One function instead of ten constraints: PostgreSQL reads and prepares the text
-- of every constraint anew for each statement, which took a tenth of a placed order's time. An unknown answer passes, as
-- in any constraint.
CREATE FUNCTION order_is_sound(
    status TEXT, phase TEXT, hold TEXT, ours BOOLEAN, subtotal INT, tax INT, total INT, payment_id UUID, payment_status TEXT,
    failure_code TEXT, due_at TIMESTAMP, watch_at TIMESTAMP
) RETURNS BOOLEAN LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS
$$
BEGIN
    RETURN status IN ('PENDING', 'CONFIRMED', 'CANCELLED', 'FAILED', 'REFUNDED')
        AND phase IN ('reserving', 'charging', 'awaiting_payment', 'allocating', 'refunding', 'releasing', 'done')
        AND hold IN ('none', 'reserved', 'allocated')
        AND payment_status IN ('PENDING', 'SUCCESS', 'FAILED', 'REFUNDED')
        -- Nothing can be stuck: an order is due exactly as long as something is left to do.
        AND (phase = 'done') = (due_at IS NULL)
        AND (watch_at IS NULL OR phase = 'done')
        AND (payment_id IS NULL) = (payment_status IS NULL)
        AND (subtotal IS NULL OR total = subtotal + tax)
        -- Orders of the service before this one were made under no such rules.
        AND (status <> 'CONFIRMED' OR NOT ours OR (total IS NOT NULL AND payment_id IS NOT NULL))
        AND (status <> 'FAILED' OR NOT ours OR failure_code IS NOT NULL);
END
$$;

ALTER TABLE orders
    DROP CONSTRAINT orders_status_known, DROP CONSTRAINT orders_phase_known, DROP CONSTRAINT orders_hold_known,
    DROP CONSTRAINT orders_payment_known, DROP CONSTRAINT orders_due_until_done, DROP CONSTRAINT orders_payment_whole,
    DROP CONSTRAINT orders_total, DROP CONSTRAINT orders_confirmed_is_paid, DROP CONSTRAINT orders_failed_has_reason,
    DROP CONSTRAINT orders_check,
    ADD CONSTRAINT orders_sound CHECK (order_is_sound(status, phase, hold, request_hash IS NOT NULL, subtotal_cents, tax_cents,
        total_cents, payment_id, payment_status, failure_code, due_at, watch_at)) NOT VALID;

-- Four times as many rows: transitions of concurrent connections seldom wait for each other's commit.
INSERT INTO order_counts (shard) SELECT generate_series(16, 63) ON CONFLICT DO NOTHING;

-- Looks an idempotency key up: {none}, {other}, or {same, state, document}. An order that is told of is on disk.
CREATE FUNCTION find_order(p_key TEXT, p_hash TEXT, p_user INT, p_event INT, p_seats INT[]) RETURNS TEXT[] LANGUAGE plpgsql AS
$$
DECLARE
    o orders;
BEGIN
    SELECT * INTO o FROM orders WHERE idempotency_key = p_key;
    IF NOT FOUND THEN
        RETURN ARRAY['none'];
    END IF;
    -- Inherited orders have no hash: their row is compared.
    IF (CASE WHEN o.request_hash IS NOT NULL THEN o.request_hash = p_hash
             ELSE o.user_id = p_user AND o.event_id = p_event AND o.seats IN (p_seats, '{}') END) IS NOT TRUE THEN
        RETURN ARRAY['other'];
    END IF;
    IF o.version = 1 THEN
        -- A row lock is written to the log, so that this statement's commit waits for the log, the order with it.
        PERFORM FROM orders WHERE id = o.id FOR KEY SHARE;
    END IF;
    RETURN ARRAY['same', order_state(o), order_document(o)];
END
$$;

-- Stores a new order in phase 'reserving' with its claims, or nothing at all: {placed}; {taken, seats} when other live
-- orders have them (separated by commas); or as find_order when the key is in use.
--
-- It commits asynchronously: losing it in a crash of PostgreSQL loses a hold that expires by itself, and no money was
-- asked for yet. The next transition, before the charge, is durable and everything before it with it.
CREATE FUNCTION place_order(p_id UUID, p_key TEXT, p_hash TEXT, p_user INT, p_event INT, p_seats INT[],
                            p_currency TEXT, p_ttl_seconds INT, p_hold_seconds INT, p_lease_ms INT) RETURNS TEXT[] LANGUAGE plpgsql AS
$$
DECLARE
    at TIMESTAMP := timezone('utc', clock_timestamp());
    durable TEXT;
    taken TEXT;
    taken_by_us INT;
    stored TEXT[];
BEGIN
    SELECT string_agg(c.seat_id::text, ',' ORDER BY c.seat_id) INTO taken
    FROM seat_claims c WHERE c.event_id = p_event AND c.seat_id = ANY (p_seats);
    IF taken IS NOT NULL THEN
        -- The claims may be those of this very request.
        stored := find_order(p_key, p_hash, p_user, p_event, p_seats);
        RETURN CASE WHEN stored[1] = 'none' THEN ARRAY['taken', taken] ELSE stored END;
    END IF;

    durable := current_setting('synchronous_commit');
    PERFORM set_config('synchronous_commit', 'off', true);
    INSERT INTO orders (id, idempotency_key, request_hash, user_id, event_id, seats, status, currency, phase,
                        created_at, updated_at, phase_since, expires_at, hold_until, due_at, leased, claimed)
    VALUES (p_id, p_key, p_hash, p_user, p_event, p_seats, 'PENDING', p_currency, 'reserving',
            at, at, at, at + p_ttl_seconds * interval '1 second', at + p_hold_seconds * interval '1 second',
            at + p_lease_ms * interval '1 millisecond', true, cardinality(p_seats))
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
        -- Somebody claimed a seat since it was looked up. Nothing of this statement stays; asked again, it says who.
        RAISE EXCEPTION 'a seat was claimed meanwhile' USING ERRCODE = 'serialization_failure';
    END IF;

    INSERT INTO order_events (order_id, seq, type, at, actor, data)
    VALUES (p_id, 1, 'order_placed', at, 'client', jsonb_build_object('seats', p_seats));
    UPDATE order_counts SET created = created + 1, pending = pending + 1, reserving = reserving + 1
    WHERE shard = pg_backend_pid() % 64;
    RETURN ARRAY['placed'];
END
$$;

-- An order: {state, document}; NULL when there is none.
CREATE FUNCTION load_order(p_id UUID) RETURNS TEXT[] LANGUAGE plpgsql STABLE AS
$$
DECLARE
    o orders;
BEGIN
    SELECT * INTO o FROM orders WHERE id = p_id;
    RETURN CASE WHEN FOUND THEN ARRAY[order_state(o), order_document(o)] END;
END
$$;

-- An order: {tag, document}; NULL when there is none. The tag differs whenever the document does: a version alone would not
-- do, because one that was not on disk may come again after a crash.
CREATE FUNCTION read_order(p_id UUID) RETURNS TEXT[] LANGUAGE plpgsql STABLE AS
$$
DECLARE
    o orders;
BEGIN
    SELECT * INTO o FROM orders WHERE id = p_id;
    RETURN CASE WHEN FOUND THEN ARRAY[o.version || '.' || (extract(epoch FROM o.updated_at) * 1000000)::bigint, order_document(o)] END;
END
$$;

-- Stores a transition: order row, items, tickets, claims, journal and outbox together, if the order still has the version
-- and (unless p_lease is NULL) the lease on which it was decided.
--   {applied, version, lease, expires_in_ms, hold_in_ms, in_flight_ms, document}: it is stored;
--   {conflict, state, document}: somebody else made a transition, decide again;
--   {claimed, state}: another live order has one of the seats;
--   {gone}: there is no such order.
-- The document is NULL unless p_document asks for it.
--
-- p_due: 'never', 'unchanged', 'expiry', 'settled', 'watch' (p_due_ms: the shortest wait), 'in' (p_due_ms from now).
-- p_more has what is rare: failure_code, failure_detail, failure_is_new, in_flight_ms, renew_seconds, renew_hold_seconds,
-- watch_cap_ms, void_tickets, claims ('take', 'drop'), message {id, kind, payload, lease_ms}, refund_was (the status of the
-- payment before, where the order's refund is to be followed).
CREATE FUNCTION store_transition(
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
    n INT;
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
            RETURN ARRAY['conflict', order_state(o), CASE WHEN p_document THEN order_document(o) END];
        END IF;
        IF p_more->>'claims' = 'take' THEN
            IF EXISTS (SELECT FROM seat_claims c
                       WHERE c.event_id = o.event_id AND c.seat_id = ANY (o.seats) AND c.order_id <> p_id) THEN
                RETURN ARRAY['claimed', order_state(o)];
            END IF;
            INSERT INTO seat_claims (event_id, seat_id, order_id)
            SELECT o.event_id, s, p_id FROM unnest(o.seats) s ORDER BY s
            ON CONFLICT DO NOTHING;
            SELECT count(*) INTO n FROM seat_claims c
            WHERE c.event_id = o.event_id AND c.seat_id = ANY (o.seats) AND c.order_id = p_id;
            IF n <> cardinality(o.seats) THEN
                RAISE EXCEPTION 'a seat was claimed meanwhile' USING ERRCODE = 'serialization_failure';
            END IF;
            claims := n - o.claimed;
        ELSIF p_more->>'claims' = 'drop' THEN
            DELETE FROM seat_claims c WHERE c.event_id = o.event_id AND c.seat_id = ANY (o.seats) AND c.order_id = p_id;
            GET DIAGNOSTICS n = ROW_COUNT;
            claims := -n;
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
        RETURN ARRAY['conflict', order_state(o), CASE WHEN p_document THEN order_document(o) END];
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

-- Claims due orders for the sweep, as before: the longest due first, each leased to the caller, with one attempt more,
-- because somebody may have begun its action before. Orders at rest whose payment is watched get a quarter, however many
-- others there are. When the lease of somebody who never came back is over, what they may have sent to Seating counts as
-- in flight. p_leases has milliseconds by phase, and 'in_flight'.
CREATE OR REPLACE FUNCTION order_claim_due(p_limit INT, p_leases JSONB) RETURNS SETOF TEXT LANGUAGE plpgsql AS
$$
DECLARE
    at TIMESTAMP := timezone('utc', clock_timestamp());
    due UUID[];
BEGIN
    SELECT array_agg(id) INTO due FROM (
        SELECT id FROM (SELECT id FROM orders WHERE watch_at <= at AND (p_leases->>'done')::int > 0
                        ORDER BY watch_at LIMIT greatest(1, p_limit / 4) FOR UPDATE SKIP LOCKED) watched
        UNION ALL
        SELECT id FROM (SELECT id FROM orders WHERE due_at <= at
                        ORDER BY due_at LIMIT p_limit FOR UPDATE SKIP LOCKED) unfinished
        LIMIT p_limit) x;
    IF due IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY UPDATE orders SET
        attempts = orders.attempts + 1,
        lease = orders.lease + 1,
        leased = true,
        -- An attempt that stores nothing, again and again, is a fault of ours, or of the database's.
        parked_at = CASE WHEN orders.attempts >= 20 THEN coalesce(orders.parked_at, at) ELSE orders.parked_at END,
        parked_reason = CASE WHEN orders.attempts >= 20 THEN coalesce(orders.parked_reason, 'no outcome was stored') ELSE orders.parked_reason END,
        in_flight_until = CASE WHEN orders.leased AND orders.phase IN ('reserving', 'allocating', 'releasing')
            THEN greatest(orders.in_flight_until, at + coalesce((p_leases->>'in_flight')::int, 0) * interval '1 millisecond')
            ELSE orders.in_flight_until END,
        due_at = CASE WHEN orders.phase <> 'done' THEN at + (p_leases->>orders.phase)::int * interval '1 millisecond' END,
        watch_at = CASE WHEN orders.phase = 'done' THEN at + (p_leases->>orders.phase)::int * interval '1 millisecond' END
    WHERE orders.id = ANY (due)
    RETURNING order_state(orders);
END
$$;

-- Claims due messages for the sweep, as before.
CREATE OR REPLACE FUNCTION outbox_claim_due(p_limit INT, p_lease_ms INT)
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

-- Adds what an instance did ([{"name", "label", "value"}, …]), keeps the heartbeat (a minute without it is a pause), and
-- tells what is due: a list of 'orders' and 'messages', empty when nothing is.
CREATE FUNCTION flush_work(p_counts JSONB) RETURNS TEXT[] LANGUAGE plpgsql AS
$$
DECLARE
    at TIMESTAMP := timezone('utc', clock_timestamp());
    due TEXT[] := '{}';
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    -- In one order for everybody, so that two instances wait for each other and do not deadlock.
    INSERT INTO work_counts AS w (name, label, value)
    SELECT c.name, c.label, c.value FROM jsonb_to_recordset(p_counts) AS c (name TEXT, label TEXT, value DOUBLE PRECISION)
    ORDER BY c.name, c.label
    ON CONFLICT (name, label) DO UPDATE SET value = w.value + excluded.value;
    -- Many instances come by in a second, and one of them is enough.
    IF NOT EXISTS (SELECT FROM heartbeat WHERE seen_at > at - interval '1 second') THEN
        INSERT INTO heartbeat AS h (id, started_at, seen_at) VALUES (1, at, at)
        ON CONFLICT (id) DO UPDATE SET
            started_at = CASE WHEN h.seen_at < at - interval '1 minute' THEN at ELSE h.started_at END,
            seen_at = at;
    END IF;
    -- The ends of the indexes, whatever PostgreSQL believes of how many are due.
    IF (SELECT min(due_at) FROM orders WHERE due_at IS NOT NULL) <= at
        OR (SELECT min(watch_at) FROM orders WHERE watch_at IS NOT NULL) <= at THEN
        due := due || 'orders'::text;
    END IF;
    IF (SELECT min(due_at) FROM outbox WHERE dead_at IS NULL) <= at THEN
        due := due || 'messages'::text;
    END IF;
    RETURN due;
END
$$;

INSERT INTO schema_migrations (version) VALUES ('0004_fast_statements');
