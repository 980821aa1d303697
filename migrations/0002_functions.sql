-- The statements of the service. Each is one function, so that a transition is one statement, and so that PostgreSQL
-- plans its parts once a connection and not once a call (Spin prepares every statement anew).
--
-- A function is replaced by a later migration only in ways that the service's previous version can live with.

-- Now, in UTC, as the TIMESTAMP columns hold it, whatever the session's time zone. Volatile: where an index is to be
-- searched by it, timezone('utc', now()) is used instead.
CREATE FUNCTION utc_now() RETURNS TIMESTAMP LANGUAGE sql VOLATILE PARALLEL SAFE AS
$$ SELECT timezone('utc', clock_timestamp()) $$;

-- RFC 3339 in UTC with microseconds.
CREATE FUNCTION rfc3339(t TIMESTAMP) RETURNS TEXT LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT to_char(t, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') $$;

-- What domain::order::Order holds of a row.
CREATE FUNCTION order_state(o orders) RETURNS TEXT LANGUAGE sql STABLE AS
$$
    SELECT json_build_object(
        'id', o.id, 'version', o.version, 'user_id', coalesce(o.user_id, 0), 'event_id', coalesce(o.event_id, 0),
        'seats', o.seats, 'status', o.status, 'phase', o.phase, 'hold', o.hold,
        'failure_code', o.failure_code, 'failure_detail', o.failure_detail, 'currency', o.currency,
        'subtotal_cents', coalesce(o.subtotal_cents, o.total_cents - o.tax_cents), 'tax_cents', o.tax_cents,
        'total_cents', o.total_cents, 'payment_id', o.payment_id, 'payment_status', o.payment_status,
        'attempts', o.attempts,
        'expires_in_ms', coalesce((extract(epoch FROM o.expires_at - timezone('utc', clock_timestamp())) * 1000)::bigint, -1),
        'hold_in_ms', coalesce((extract(epoch FROM o.hold_until - timezone('utc', clock_timestamp())) * 1000)::bigint, -1)
    )::text
$$;

-- The order document of the HTTP contract, as JSON text.
CREATE FUNCTION order_document(o orders) RETURNS TEXT LANGUAGE sql STABLE AS
$$
    SELECT json_build_object(
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
    )::text
$$;

-- Whether a stored order came from the same request. Inherited orders have no hash: their row is compared.
CREATE FUNCTION order_is_same(o orders, p_hash TEXT, p_user INT, p_event INT, p_seats INT[]) RETURNS BOOLEAN LANGUAGE sql IMMUTABLE AS
$$
    SELECT coalesce(
        CASE WHEN o.request_hash IS NOT NULL THEN o.request_hash = p_hash
             ELSE o.user_id = p_user AND o.event_id = p_event AND o.seats IN (p_seats, '{}') END, false)
$$;

-- Adds to the counts of /metrics. Counts are the last that a transaction locks, always in the same order (order_counts,
-- then failure_counts), so that they cannot deadlock.
CREATE FUNCTION count_transition(p_old_status TEXT, p_new_status TEXT, p_old_phase TEXT, p_new_phase TEXT,
                                 p_created INT, p_tickets INT, p_outbox INT) RETURNS VOID LANGUAGE plpgsql AS
$$
BEGIN
    UPDATE order_counts SET
        created          = created + p_created,
        tickets          = tickets + p_tickets,
        outbox           = outbox + p_outbox,
        pending          = pending          + (p_new_status = 'PENDING')::int         - (p_old_status = 'PENDING')::int,
        confirmed        = confirmed        + (p_new_status = 'CONFIRMED')::int       - (p_old_status = 'CONFIRMED')::int,
        cancelled        = cancelled        + (p_new_status = 'CANCELLED')::int       - (p_old_status = 'CANCELLED')::int,
        failed           = failed           + (p_new_status = 'FAILED')::int          - (p_old_status = 'FAILED')::int,
        refunded         = refunded         + (p_new_status = 'REFUNDED')::int        - (p_old_status = 'REFUNDED')::int,
        reserving        = reserving        + (p_new_phase = 'reserving')::int        - (p_old_phase = 'reserving')::int,
        charging         = charging         + (p_new_phase = 'charging')::int         - (p_old_phase = 'charging')::int,
        awaiting_payment = awaiting_payment + (p_new_phase = 'awaiting_payment')::int - (p_old_phase = 'awaiting_payment')::int,
        allocating       = allocating       + (p_new_phase = 'allocating')::int       - (p_old_phase = 'allocating')::int,
        refunding        = refunding        + (p_new_phase = 'refunding')::int        - (p_old_phase = 'refunding')::int,
        releasing        = releasing        + (p_new_phase = 'releasing')::int        - (p_old_phase = 'releasing')::int
    WHERE shard = pg_backend_pid() % 16;
END
$$;

-- Looks an idempotency key up. outcome: 'none', 'same' (with state and document) or 'other'.
CREATE FUNCTION order_find(p_key TEXT, p_hash TEXT, p_user INT, p_event INT, p_seats INT[],
                           OUT outcome TEXT, OUT state TEXT, OUT document TEXT) LANGUAGE plpgsql STABLE AS
$$
DECLARE
    o orders;
BEGIN
    SELECT * INTO o FROM orders WHERE idempotency_key = p_key;
    IF NOT FOUND THEN
        outcome := 'none';
    ELSIF order_is_same(o, p_hash, p_user, p_event, p_seats) THEN
        outcome := 'same';
        state := order_state(o);
        document := order_document(o);
    ELSE
        outcome := 'other';
    END IF;
END
$$;

-- Stores a new order in phase 'reserving' with its claims, or nothing at all. outcome: 'placed'; 'taken' (another live
-- order has the seats in `taken`); or as order_find's when the key is in use.
--
-- It commits asynchronously: losing it in a crash of PostgreSQL loses a hold that expires by itself, and no money was
-- asked for yet. The next transition, before the charge, is durable and everything before it with it.
CREATE FUNCTION order_place(p_id UUID, p_key TEXT, p_hash TEXT, p_user INT, p_event INT, p_seats INT[],
                            p_currency TEXT, p_ttl_seconds INT, p_hold_seconds INT, p_lease_ms INT,
                            OUT outcome TEXT, OUT taken INT[], OUT state TEXT, OUT document TEXT) LANGUAGE plpgsql AS
$$
DECLARE
    at TIMESTAMP := utc_now();
    claimed INT;
BEGIN
    SELECT f.outcome, f.state, f.document INTO outcome, state, document
    FROM order_find(p_key, p_hash, p_user, p_event, p_seats) f;
    IF outcome <> 'none' THEN
        RETURN;
    END IF;

    SELECT array_agg(c.seat_id ORDER BY c.seat_id) INTO taken
    FROM seat_claims c WHERE c.event_id = p_event AND c.seat_id = ANY (p_seats);
    IF taken IS NOT NULL THEN
        -- The claims may be those of this very request, committed since the key was looked up.
        SELECT f.outcome, f.state, f.document INTO outcome, state, document
        FROM order_find(p_key, p_hash, p_user, p_event, p_seats) f;
        IF outcome = 'none' THEN
            outcome := 'taken';
        END IF;
        RETURN;
    END IF;

    PERFORM set_config('synchronous_commit', 'off', true);
    INSERT INTO orders (id, idempotency_key, request_hash, user_id, event_id, seats, status, currency, phase,
                        created_at, updated_at, expires_at, hold_until, due_at)
    VALUES (p_id, p_key, p_hash, p_user, p_event, p_seats, 'PENDING', p_currency, 'reserving',
            at, at, at + make_interval(secs => p_ttl_seconds), at + make_interval(secs => p_hold_seconds),
            at + p_lease_ms * interval '1 millisecond')
    ON CONFLICT (idempotency_key) DO NOTHING;
    IF NOT FOUND THEN
        SELECT f.outcome, f.state, f.document INTO outcome, state, document
        FROM order_find(p_key, p_hash, p_user, p_event, p_seats) f;
        RETURN;
    END IF;

    -- In ascending order, so that two orders for the same seats wait for each other and do not deadlock.
    INSERT INTO seat_claims (event_id, seat_id, order_id)
    SELECT p_event, s, p_id FROM unnest(p_seats) s ORDER BY s
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS claimed = ROW_COUNT;
    IF claimed <> cardinality(p_seats) THEN
        -- Somebody claimed a seat since it was looked up. Nothing of this statement stays; asked again, it says who.
        RAISE EXCEPTION 'a seat was claimed meanwhile' USING ERRCODE = 'serialization_failure';
    END IF;

    INSERT INTO order_events (order_id, seq, type, at, actor, data)
    VALUES (p_id, 1, 'order_placed', at, 'client', jsonb_build_object('seats', p_seats));
    PERFORM count_transition('', 'PENDING', '', 'reserving', 1, 0, 0);
    outcome := 'placed';
END
$$;

-- An order's state and document; no row when there is none.
CREATE FUNCTION order_load(p_id UUID) RETURNS TABLE (state TEXT, document TEXT) LANGUAGE sql STABLE AS
$$ SELECT order_state(o), order_document(o) FROM orders o WHERE o.id = p_id $$;

-- An order's document and version; no row when there is none.
CREATE FUNCTION order_read(p_id UUID) RETURNS TABLE (version INT, document TEXT) LANGUAGE sql STABLE AS
$$ SELECT o.version, order_document(o) FROM orders o WHERE o.id = p_id $$;

-- Stores a transition (the JSON of db::orders::Change): order row, items, tickets, claims, journal and outbox
-- together, if the order still has the version on which it was decided. outcome: 'applied'; 'conflict' (somebody else
-- made a transition: decide again on `state`); 'claimed' (another live order has one of the seats); 'gone'.
CREATE FUNCTION order_apply(p_id UUID, p_version INT, p_change JSONB, p_document BOOLEAN,
                            OUT outcome TEXT, OUT state TEXT, OUT document TEXT) LANGUAGE plpgsql AS
$$
DECLARE
    o orders;
    old_status TEXT;
    old_phase TEXT;
    old_failure TEXT;
    at TIMESTAMP := utc_now();
    issued INT := 0;
    claimed INT;
BEGIN
    SELECT * INTO o FROM orders WHERE id = p_id FOR UPDATE;
    IF NOT FOUND THEN
        outcome := 'gone';
        RETURN;
    END IF;
    IF o.version <> p_version THEN
        outcome := 'conflict';
    ELSIF p_change->>'claims' = 'take' AND EXISTS (
        SELECT FROM seat_claims c WHERE c.event_id = o.event_id AND c.seat_id = ANY (o.seats) AND c.order_id <> o.id) THEN
        outcome := 'claimed';
    END IF;
    IF outcome IS NOT NULL THEN
        state := order_state(o);
        IF p_document THEN
            document := order_document(o);
        END IF;
        RETURN;
    END IF;

    old_status := o.status;
    old_phase := o.phase;
    old_failure := o.failure_code;
    UPDATE orders SET
        version = orders.version + 1,
        updated_at = at,
        status = p_change->>'status',
        phase = p_change->>'phase',
        hold = p_change->>'hold',
        failure_code = p_change->>'failure_code',
        failure_detail = p_change->>'failure_detail',
        subtotal_cents = coalesce((p_change->>'subtotal_cents')::int, orders.subtotal_cents),
        tax_cents = coalesce((p_change->>'tax_cents')::int, orders.tax_cents),
        total_cents = coalesce((p_change->>'total_cents')::int, orders.total_cents),
        payment_id = (p_change->>'payment_id')::uuid,
        payment_status = p_change->>'payment_status',
        attempts = (p_change->>'attempts')::int,
        expires_at = CASE WHEN p_change ? 'renew_seconds'
            THEN at + make_interval(secs => (p_change->>'renew_seconds')::int) ELSE orders.expires_at END,
        hold_until = CASE WHEN p_change ? 'renew_hold_seconds'
            THEN at + make_interval(secs => (p_change->>'renew_hold_seconds')::int) ELSE orders.hold_until END,
        due_at = CASE p_change->>'due'
            WHEN 'never' THEN NULL
            WHEN 'unchanged' THEN orders.due_at
            WHEN 'expiry' THEN greatest(orders.expires_at, at)
            ELSE at + (p_change->>'due')::int * interval '1 millisecond' END
    WHERE id = p_id RETURNING * INTO o;

    IF p_change ? 'items' THEN
        INSERT INTO order_items (order_id, seat_id, seat_code, seat_price_cents)
        SELECT p_id, i.seat_id, i.seat_code, i.seat_price_cents
        FROM jsonb_to_recordset(p_change->'items') AS i (seat_id INT, seat_code TEXT, seat_price_cents INT);
    END IF;

    IF p_change ? 'tickets' THEN
        INSERT INTO tickets (id, order_id, seat_id, ticket_code, issued_at)
        SELECT t.id, p_id, t.seat_id, t.ticket_code, at
        FROM jsonb_to_recordset(p_change->'tickets') AS t (id UUID, seat_id INT, ticket_code TEXT);
        GET DIAGNOSTICS issued = ROW_COUNT;
    ELSIF p_change ? 'void_tickets' THEN
        UPDATE tickets t SET voided_at = at WHERE t.order_id = p_id AND t.voided_at IS NULL;
    END IF;

    IF p_change->>'claims' = 'drop' THEN
        DELETE FROM seat_claims c WHERE c.event_id = o.event_id AND c.seat_id = ANY (o.seats) AND c.order_id = p_id;
    ELSIF p_change->>'claims' = 'take' THEN
        INSERT INTO seat_claims (event_id, seat_id, order_id)
        SELECT o.event_id, s, p_id FROM unnest(o.seats) s ORDER BY s
        ON CONFLICT DO NOTHING;
        SELECT count(*) INTO claimed FROM seat_claims c
        WHERE c.event_id = o.event_id AND c.seat_id = ANY (o.seats) AND c.order_id = p_id;
        IF claimed <> cardinality(o.seats) THEN
            RAISE EXCEPTION 'a seat was claimed meanwhile' USING ERRCODE = 'serialization_failure';
        END IF;
    END IF;

    INSERT INTO order_events (order_id, seq, type, at, actor, data)
    VALUES (p_id, o.version, p_change->>'event', at, p_change->>'actor', p_change->'data');

    IF p_change ? 'message' THEN
        INSERT INTO outbox (id, order_id, kind, payload, due_at)
        VALUES ((p_change->'message'->>'id')::uuid, p_id, p_change->'message'->>'kind', p_change->'message'->>'payload',
                at + (p_change->'message'->>'lease_ms')::int * interval '1 millisecond');
    END IF;

    PERFORM count_transition(old_status, o.status, old_phase, o.phase, 0, issued, (p_change ? 'message')::int);
    IF o.failure_code IS DISTINCT FROM old_failure AND o.failure_code IS NOT NULL THEN
        INSERT INTO failure_counts AS f (shard, code, value) VALUES (pg_backend_pid() % 16, o.failure_code, 1)
        ON CONFLICT (shard, code) DO UPDATE SET value = f.value + 1;
    END IF;

    outcome := 'applied';
    state := order_state(o);
    IF p_document THEN
        document := order_document(o);
    END IF;
END
$$;

-- Claims due orders for the sweep, the longest due first: each is leased to the caller (milliseconds by phase in
-- p_leases) and has one attempt more, because somebody may have begun its action before.
CREATE FUNCTION order_claim_due(p_limit INT, p_leases JSONB) RETURNS SETOF TEXT LANGUAGE sql AS
$$
    UPDATE orders SET
        attempts = orders.attempts + 1,
        due_at = utc_now() + (p_leases->>orders.phase)::int * interval '1 millisecond'
    FROM (SELECT id FROM orders WHERE due_at <= timezone('utc', now()) ORDER BY due_at LIMIT p_limit FOR UPDATE SKIP LOCKED) due
    WHERE orders.id = due.id
    RETURNING order_state(orders)
$$;

-- Claims due messages for the sweep, likewise.
CREATE FUNCTION outbox_claim_due(p_limit INT, p_lease_ms INT)
RETURNS TABLE (id UUID, order_id UUID, kind TEXT, payload TEXT, attempts INT) LANGUAGE sql AS
$$
    UPDATE outbox SET attempts = outbox.attempts + 1, due_at = utc_now() + p_lease_ms * interval '1 millisecond'
    FROM (SELECT o.id FROM outbox o WHERE o.dead_at IS NULL AND o.due_at <= timezone('utc', now())
          ORDER BY o.due_at LIMIT p_limit FOR UPDATE SKIP LOCKED) due
    WHERE outbox.id = due.id
    RETURNING outbox.id, outbox.order_id, outbox.kind, outbox.payload, outbox.attempts
$$;

-- A message was taken by Notification. Asynchronous: losing it means one more delivery, which its id makes harmless.
CREATE FUNCTION outbox_delivered(p_id UUID) RETURNS VOID LANGUAGE plpgsql AS
$$
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    DELETE FROM outbox WHERE id = p_id AND dead_at IS NULL;
    IF FOUND THEN
        UPDATE order_counts SET outbox = outbox - 1 WHERE shard = pg_backend_pid() % 16;
    END IF;
END
$$;

-- A message was not taken: it is due again after p_delay_ms, or a dead letter when that is NULL.
CREATE FUNCTION outbox_postpone(p_id UUID, p_error TEXT, p_delay_ms INT) RETURNS VOID LANGUAGE plpgsql AS
$$
BEGIN
    UPDATE outbox SET
        attempts = greatest(attempts, 1),
        last_error = p_error,
        due_at = utc_now() + coalesce(p_delay_ms, 0) * interval '1 millisecond',
        dead_at = CASE WHEN p_delay_ms IS NULL THEN utc_now() END
    WHERE id = p_id AND dead_at IS NULL;
    IF FOUND AND p_delay_ms IS NULL THEN
        UPDATE order_counts SET outbox = outbox - 1, dead_letters = dead_letters + 1 WHERE shard = pg_backend_pid() % 16;
    END IF;
END
$$;

-- Adds what an instance did ([{"name", "label", "value"}, …]) and keeps the heartbeat: a minute without it is a pause.
CREATE FUNCTION work_flush(p_counts JSONB) RETURNS VOID LANGUAGE plpgsql AS
$$
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    -- In one order for everybody, so that two instances wait for each other and do not deadlock.
    INSERT INTO work_counts AS w (name, label, value)
    SELECT c.name, c.label, c.value FROM jsonb_to_recordset(p_counts) AS c (name TEXT, label TEXT, value DOUBLE PRECISION)
    ORDER BY c.name, c.label
    ON CONFLICT (name, label) DO UPDATE SET value = w.value + excluded.value;
    INSERT INTO heartbeat AS h (id, started_at, seen_at) VALUES (1, utc_now(), utc_now())
    ON CONFLICT (id) DO UPDATE SET
        started_at = CASE WHEN h.seen_at < utc_now() - interval '1 minute' THEN utc_now() ELSE h.started_at END,
        seen_at = utc_now();
END
$$;

-- Everything that /metrics tells of orders and of the work of all instances, as JSON text. Reads a few dozen rows and
-- the ends of three indexes, however many orders there are.
CREATE FUNCTION metrics_summary() RETURNS TEXT LANGUAGE sql STABLE AS
$$
    SELECT json_build_object(
        'orders', (SELECT row_to_json(s) FROM (
            SELECT sum(created) AS created, sum(tickets) AS tickets, sum(outbox) AS outbox, sum(dead_letters) AS dead_letters,
                   sum(pending) AS pending, sum(confirmed) AS confirmed, sum(cancelled) AS cancelled, sum(failed) AS failed,
                   sum(refunded) AS refunded, sum(reserving) AS reserving, sum(charging) AS charging,
                   sum(awaiting_payment) AS awaiting_payment, sum(allocating) AS allocating, sum(refunding) AS refunding,
                   sum(releasing) AS releasing
            FROM order_counts) s),
        'failures', coalesce((SELECT json_object_agg(code, n) FROM (SELECT code, sum(value) AS n FROM failure_counts GROUP BY code) f), '{}'),
        'oldest_due_seconds', coalesce(greatest(0, extract(epoch FROM utc_now() - (SELECT min(due_at) FROM orders WHERE due_at IS NOT NULL))), 0)::float8,
        'outbox_age_seconds', coalesce(extract(epoch FROM utc_now() - (SELECT min(created_at) FROM outbox WHERE dead_at IS NULL)), 0)::float8,
        'work', coalesce((SELECT json_agg(w ORDER BY w.name, w.label) FROM work_counts w), '[]'),
        'uptime_seconds', coalesce((SELECT extract(epoch FROM utc_now() - started_at) FROM heartbeat), 0)::float8
    )::text
$$;

INSERT INTO schema_migrations (version) VALUES ('0002_functions');
