-- The whole life of an order under failure: what must be remembered so that no late request touches somebody else's
-- seats, no payment is forgotten, and an operator is told of what does not resolve by itself.

ALTER TABLE orders
    -- Nobody wants seats for it any more: money that comes late goes back.
    ADD COLUMN given_up        BOOLEAN   NOT NULL DEFAULT false,
    -- A callback came that could not be checked.
    ADD COLUMN payment_unsure  BOOLEAN   NOT NULL DEFAULT false,
    -- due_at is the lease of somebody who may be at work, not a wait.
    ADD COLUMN leased          BOOLEAN   NOT NULL DEFAULT false,
    -- Goes on whenever the order passes into other hands: whoever performed an action under an older one is not heard.
    ADD COLUMN lease           INT       NOT NULL DEFAULT 1,
    -- Until then a request to Seating that had no answer may take effect.
    ADD COLUMN in_flight_until TIMESTAMP,
    -- When Payment is asked about the payment of an order at rest.
    ADD COLUMN watch_at        TIMESTAMP CHECK (watch_at IS NULL OR phase = 'done'),
    -- Since when an operator should know of it, and why.
    ADD COLUMN parked_at       TIMESTAMP,
    ADD COLUMN parked_reason   TEXT,
    ADD COLUMN phase_since     TIMESTAMP NOT NULL DEFAULT timezone('utc', now()),
    -- Counted from the rows that were really written, so that a disagreement shows.
    ADD COLUMN valid_tickets   INT       NOT NULL DEFAULT 0,
    ADD COLUMN claimed         INT       NOT NULL DEFAULT 0;

-- In one pass: an order is written once at most.
UPDATE orders o SET
    valid_tickets = coalesce(t.n, 0),
    claimed = coalesce(c.n, 0),
    phase_since = CASE WHEN o.phase <> 'done' THEN o.updated_at ELSE o.phase_since END,
    -- Whoever works on one may have sent something.
    leased = o.phase IN ('reserving', 'allocating', 'releasing'),
    watch_at = CASE WHEN o.phase = 'done' AND o.payment_status = 'PENDING' THEN timezone('utc', now()) END
FROM orders x
LEFT JOIN (SELECT order_id, count(*) AS n FROM tickets WHERE voided_at IS NULL GROUP BY order_id) t ON t.order_id = x.id
LEFT JOIN (SELECT order_id, count(*) AS n FROM seat_claims GROUP BY order_id) c ON c.order_id = x.id
WHERE o.id = x.id AND (t.n IS NOT NULL OR c.n IS NOT NULL OR x.phase <> 'done' OR x.payment_status = 'PENDING');

CREATE INDEX orders_watch ON orders (watch_at) WHERE watch_at IS NOT NULL;
CREATE INDEX orders_parked ON orders (parked_at) WHERE parked_at IS NOT NULL;

-- What must never be: an index that is empty while all is well, so that looking for violations costs nothing. Orders of
-- the service before this one were made under no such rules.
CREATE INDEX orders_paid_without_ticket ON orders (id)
    WHERE request_hash IS NOT NULL AND phase = 'done' AND payment_status = 'SUCCESS'
      AND (status <> 'CONFIRMED' OR valid_tickets <> cardinality(seats));
CREATE INDEX orders_ticket_without_payment ON orders (id)
    WHERE request_hash IS NOT NULL AND valid_tickets > 0
      AND (status <> 'CONFIRMED' OR phase <> 'done' OR payment_status IS DISTINCT FROM 'SUCCESS');
CREATE INDEX orders_pending_at_rest ON orders (id) WHERE request_hash IS NOT NULL AND phase = 'done' AND status = 'PENDING';
CREATE INDEX orders_claim_of_dead_order ON orders (id)
    WHERE phase = 'done' AND status IN ('CANCELLED', 'FAILED', 'REFUNDED') AND claimed > 0;

-- Orders that are as they never should be. Each branch has the condition of its index above.
CREATE VIEW order_violations AS
    SELECT id, 'paid_without_ticket' AS invariant, updated_at AS since,
           'paid and at rest, without a valid ticket for each seat' AS reason
    FROM orders WHERE request_hash IS NOT NULL AND phase = 'done' AND payment_status = 'SUCCESS'
      AND (status <> 'CONFIRMED' OR valid_tickets <> cardinality(seats))
    UNION ALL
    SELECT id, 'ticket_without_payment', updated_at, 'valid tickets without a payment'
    FROM orders WHERE request_hash IS NOT NULL AND valid_tickets > 0
      AND (status <> 'CONFIRMED' OR phase <> 'done' OR payment_status IS DISTINCT FROM 'SUCCESS')
    UNION ALL
    SELECT id, 'pending_at_rest', updated_at, 'nothing is left to do, and nothing is decided'
    FROM orders WHERE request_hash IS NOT NULL AND phase = 'done' AND status = 'PENDING'
    UNION ALL
    SELECT id, 'claim_of_dead_order', updated_at, 'over, and its seats are still claimed'
    FROM orders WHERE phase = 'done' AND status IN ('CANCELLED', 'FAILED', 'REFUNDED') AND claimed > 0;

-- One row, one intent, for each order whose money went or is to go back. Its outcome is what Payment said of the payment in
-- the end; a charge-back has a row that is settled from the beginning.
CREATE TABLE refunds (
    order_id     UUID PRIMARY KEY REFERENCES orders (id) ON DELETE CASCADE,
    payment_id   UUID      NOT NULL,
    amount_cents INT,
    reason       TEXT      NOT NULL, -- the type of the journal's entry that led to it
    requested_at TIMESTAMP NOT NULL,
    settled_at   TIMESTAMP,
    outcome      TEXT CHECK (outcome IN ('REFUNDED', 'FAILED')),
    CHECK ((settled_at IS NULL) = (outcome IS NULL))
);
CREATE INDEX refunds_open ON refunds (requested_at) WHERE settled_at IS NULL;

INSERT INTO refunds (order_id, payment_id, amount_cents, reason, requested_at)
SELECT id, payment_id, total_cents, 'refund_requested', updated_at FROM orders
WHERE phase = 'refunding' AND payment_id IS NOT NULL;

CREATE OR REPLACE FUNCTION order_state(o orders) RETURNS TEXT LANGUAGE sql STABLE AS
$$
    SELECT json_build_object(
        'id', o.id, 'version', o.version, 'user_id', coalesce(o.user_id, 0), 'event_id', coalesce(o.event_id, 0),
        'seats', o.seats, 'status', o.status, 'phase', o.phase, 'hold', o.hold,
        'failure_code', o.failure_code, 'failure_detail', o.failure_detail, 'currency', o.currency,
        'subtotal_cents', coalesce(o.subtotal_cents, o.total_cents - o.tax_cents), 'tax_cents', o.tax_cents,
        'total_cents', o.total_cents, 'payment_id', o.payment_id, 'payment_status', o.payment_status,
        'attempts', o.attempts, 'lease', o.lease,
        'expires_in_ms', coalesce((extract(epoch FROM o.expires_at - utc_now()) * 1000)::bigint, -1),
        'hold_in_ms', coalesce((extract(epoch FROM o.hold_until - utc_now()) * 1000)::bigint, -1),
        'in_flight_ms', coalesce((extract(epoch FROM o.in_flight_until - utc_now()) * 1000)::bigint, -1),
        'given_up', o.given_up, 'payment_unsure', o.payment_unsure, 'parked', o.parked_at IS NOT NULL
    )::text
$$;

-- As before, and an order that is told of is on disk: it was stored asynchronously, and until its next transition a crash
-- of PostgreSQL could lose it.
CREATE OR REPLACE FUNCTION order_find(p_key TEXT, p_hash TEXT, p_user INT, p_event INT, p_seats INT[],
                           OUT outcome TEXT, OUT state TEXT, OUT document TEXT) LANGUAGE plpgsql VOLATILE AS
$$
DECLARE
    o orders;
BEGIN
    SELECT * INTO o FROM orders WHERE idempotency_key = p_key;
    IF NOT FOUND THEN
        outcome := 'none';
    ELSIF order_is_same(o, p_hash, p_user, p_event, p_seats) THEN
        IF o.version = 1 THEN
            -- A row lock is written to the log, so that this statement's commit waits for the log, the order with it.
            PERFORM FROM orders WHERE id = o.id FOR KEY SHARE;
        END IF;
        outcome := 'same';
        state := order_state(o);
        document := order_document(o);
    ELSE
        outcome := 'other';
    END IF;
END
$$;

-- As before; the new order is leased, and its claims are counted.
CREATE OR REPLACE FUNCTION order_place(p_id UUID, p_key TEXT, p_hash TEXT, p_user INT, p_event INT, p_seats INT[],
                            p_currency TEXT, p_ttl_seconds INT, p_hold_seconds INT, p_lease_ms INT,
                            OUT outcome TEXT, OUT taken INT[], OUT state TEXT, OUT document TEXT) LANGUAGE plpgsql AS
$$
DECLARE
    at TIMESTAMP := utc_now();
    durable TEXT := current_setting('synchronous_commit');
    taken_by_us INT;
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
                        created_at, updated_at, phase_since, expires_at, hold_until, due_at, leased, claimed)
    VALUES (p_id, p_key, p_hash, p_user, p_event, p_seats, 'PENDING', p_currency, 'reserving',
            at, at, at, at + make_interval(secs => p_ttl_seconds), at + make_interval(secs => p_hold_seconds),
            at + p_lease_ms * interval '1 millisecond', true, cardinality(p_seats))
    ON CONFLICT (idempotency_key) DO NOTHING;
    IF NOT FOUND THEN
        PERFORM set_config('synchronous_commit', durable, true);
        SELECT f.outcome, f.state, f.document INTO outcome, state, document
        FROM order_find(p_key, p_hash, p_user, p_event, p_seats) f;
        RETURN;
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
    PERFORM count_transition('', 'PENDING', '', 'reserving', 1, 0, 0);
    outcome := 'placed';
END
$$;

-- Keeps the row of an order's refund: opened when the order begins to give the money back, settled when Payment has said
-- what became of it.
CREATE FUNCTION refund_follow(o orders, p_old_phase TEXT, p_old_payment TEXT, p_event TEXT, p_at TIMESTAMP)
RETURNS VOID LANGUAGE plpgsql AS
$$
BEGIN
    IF o.phase = 'refunding' AND p_old_phase <> 'refunding' THEN
        INSERT INTO refunds AS r (order_id, payment_id, amount_cents, reason, requested_at)
        VALUES (o.id, o.payment_id, o.total_cents, p_event, p_at)
        -- Payment said that there was nothing to give back, and says otherwise now.
        ON CONFLICT (order_id) DO UPDATE SET reason = p_event, requested_at = p_at, settled_at = NULL, outcome = NULL
        WHERE r.outcome = 'FAILED';
    ELSIF o.payment_status = 'REFUNDED' AND p_old_payment IS DISTINCT FROM 'REFUNDED' THEN
        INSERT INTO refunds AS r (order_id, payment_id, amount_cents, reason, requested_at, settled_at, outcome)
        VALUES (o.id, o.payment_id, o.total_cents, p_event, p_at, p_at, 'REFUNDED')
        ON CONFLICT (order_id) DO UPDATE SET settled_at = p_at, outcome = 'REFUNDED' WHERE r.outcome IS DISTINCT FROM 'REFUNDED';
    ELSIF p_old_phase = 'refunding' AND o.phase <> 'refunding' AND o.payment_status = 'FAILED' THEN
        UPDATE refunds SET settled_at = p_at, outcome = 'FAILED' WHERE order_id = o.id AND settled_at IS NULL;
    END IF;
END
$$;

-- As before, and: what is remembered of requests in flight, of doubtful payments, of what an operator should know, and of
-- refunds. Tickets and claims are written before the order's row, which counts what was really written.
CREATE OR REPLACE FUNCTION order_apply(p_id UUID, p_version INT, p_change JSONB, p_document BOOLEAN,
                            OUT outcome TEXT, OUT state TEXT, OUT document TEXT) LANGUAGE plpgsql AS
$$
DECLARE
    o orders;
    was orders;
    at TIMESTAMP := utc_now();
    due TEXT := p_change->>'due';
    next_at TIMESTAMP;
    issued INT := 0;
    voided INT := 0;
    claims INT;
    dropped INT;
BEGIN
    SELECT * INTO was FROM orders WHERE id = p_id FOR UPDATE;
    IF NOT FOUND THEN
        outcome := 'gone';
        RETURN;
    END IF;
    IF was.version <> p_version OR was.lease <> (p_change->>'lease')::int THEN
        outcome := 'conflict';
    ELSIF p_change->>'claims' = 'take' AND EXISTS (
        SELECT FROM seat_claims c WHERE c.event_id = was.event_id AND c.seat_id = ANY (was.seats) AND c.order_id <> p_id) THEN
        outcome := 'claimed';
    END IF;
    IF outcome IS NOT NULL THEN
        state := order_state(was);
        IF p_document THEN
            document := order_document(was);
        END IF;
        RETURN;
    END IF;

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
        GET DIAGNOSTICS voided = ROW_COUNT;
    END IF;

    claims := was.claimed;
    IF p_change->>'claims' = 'drop' THEN
        DELETE FROM seat_claims c WHERE c.event_id = was.event_id AND c.seat_id = ANY (was.seats) AND c.order_id = p_id;
        GET DIAGNOSTICS dropped = ROW_COUNT;
        claims := was.claimed - dropped;
    ELSIF p_change->>'claims' = 'take' THEN
        INSERT INTO seat_claims (event_id, seat_id, order_id)
        SELECT was.event_id, s, p_id FROM unnest(was.seats) s ORDER BY s
        ON CONFLICT DO NOTHING;
        SELECT count(*) INTO claims FROM seat_claims c
        WHERE c.event_id = was.event_id AND c.seat_id = ANY (was.seats) AND c.order_id = p_id;
        IF claims <> cardinality(was.seats) THEN
            RAISE EXCEPTION 'a seat was claimed meanwhile' USING ERRCODE = 'serialization_failure';
        END IF;
    END IF;

    next_at := CASE due
        -- The version before this one does not watch payments.
        WHEN 'never' THEN CASE WHEN p_change->>'phase' = 'done' AND p_change->>'payment_status' = 'PENDING'
            THEN at + interval '1 minute' END
        WHEN 'unchanged' THEN coalesce(was.due_at, was.watch_at)
        WHEN 'expiry' THEN greatest(at, CASE WHEN p_change ? 'renew_seconds'
            THEN at + make_interval(secs => (p_change->>'renew_seconds')::int) ELSE was.expires_at END)
        WHEN 'settled' THEN greatest(at, was.in_flight_until)
        -- When twice as much time has passed since the order came to rest.
        WHEN 'watch' THEN at + greatest((p_change->>'watch_first_ms')::bigint * interval '1 millisecond',
            CASE WHEN was.phase = 'done'
                THEN least(at - was.phase_since, (p_change->>'watch_cap_ms')::bigint * interval '1 millisecond') END)
        ELSE at + due::int * interval '1 millisecond' END;

    UPDATE orders SET
        version = orders.version + 1,
        updated_at = at,
        status = p_change->>'status',
        phase = p_change->>'phase',
        phase_since = CASE WHEN p_change->>'phase' = was.phase THEN was.phase_since ELSE at END,
        hold = p_change->>'hold',
        failure_code = p_change->>'failure_code',
        failure_detail = p_change->>'failure_detail',
        subtotal_cents = coalesce((p_change->>'subtotal_cents')::int, was.subtotal_cents),
        tax_cents = coalesce((p_change->>'tax_cents')::int, was.tax_cents),
        total_cents = coalesce((p_change->>'total_cents')::int, was.total_cents),
        payment_id = (p_change->>'payment_id')::uuid,
        payment_status = p_change->>'payment_status',
        payment_unsure = coalesce((p_change->>'payment_unsure')::boolean, was.payment_unsure),
        given_up = coalesce((p_change->>'given_up')::boolean, was.given_up),
        attempts = (p_change->>'attempts')::int,
        parked_at = CASE WHEN coalesce((p_change->>'parked')::boolean, was.parked_at IS NOT NULL) THEN coalesce(was.parked_at, at) END,
        parked_reason = CASE WHEN coalesce((p_change->>'parked')::boolean, was.parked_at IS NOT NULL) THEN coalesce(p_change->'data'->>'reason', was.parked_reason) END,
        expires_at = CASE WHEN p_change ? 'renew_seconds'
            THEN at + make_interval(secs => (p_change->>'renew_seconds')::int) ELSE was.expires_at END,
        hold_until = CASE WHEN p_change ? 'renew_hold_seconds'
            THEN at + make_interval(secs => (p_change->>'renew_hold_seconds')::int) ELSE was.hold_until END,
        in_flight_until = CASE WHEN p_change ? 'in_flight_ms'
            THEN greatest(was.in_flight_until, at + (p_change->>'in_flight_ms')::int * interval '1 millisecond') ELSE was.in_flight_until END,
        due_at = CASE WHEN p_change->>'phase' <> 'done' THEN next_at END,
        watch_at = CASE WHEN p_change->>'phase' = 'done' THEN next_at END,
        lease = was.lease + (due <> 'unchanged')::int,
        leased = CASE WHEN due = 'unchanged' THEN was.leased ELSE coalesce((p_change->>'leased')::boolean, true) END,
        valid_tickets = was.valid_tickets + issued - voided,
        claimed = claims
    WHERE id = p_id RETURNING * INTO o;

    INSERT INTO order_events (order_id, seq, type, at, actor, data)
    VALUES (p_id, o.version, p_change->>'event', at, p_change->>'actor', p_change->'data');
    PERFORM refund_follow(o, was.phase, was.payment_status, p_change->>'event', at);

    IF p_change ? 'message' THEN
        INSERT INTO outbox (id, order_id, kind, payload, due_at)
        VALUES ((p_change->'message'->>'id')::uuid, p_id, p_change->'message'->>'kind', p_change->'message'->>'payload',
                at + (p_change->'message'->>'lease_ms')::int * interval '1 millisecond');
    END IF;

    PERFORM count_transition(was.status, o.status, was.phase, o.phase, 0, issued, (p_change ? 'message')::int);
    IF o.failure_code IS DISTINCT FROM was.failure_code AND o.failure_code IS NOT NULL THEN
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

-- As before, and: orders at rest whose payment is watched; and when the lease of somebody who never came back is over,
-- what they may have sent to Seating counts as in flight. p_leases has milliseconds by phase, and 'in_flight'.
CREATE OR REPLACE FUNCTION order_claim_due(p_limit INT, p_leases JSONB) RETURNS SETOF TEXT LANGUAGE sql AS
$$
    UPDATE orders SET
        attempts = orders.attempts + 1,
        lease = orders.lease + 1,
        leased = true,
        -- An attempt that stores nothing, again and again, is a fault of ours, or of the database's.
        parked_at = CASE WHEN orders.attempts >= 20 THEN coalesce(orders.parked_at, utc_now()) ELSE orders.parked_at END,
        parked_reason = CASE WHEN orders.attempts >= 20 THEN coalesce(orders.parked_reason, 'no outcome was stored') ELSE orders.parked_reason END,
        in_flight_until = CASE WHEN orders.leased AND orders.phase IN ('reserving', 'allocating', 'releasing')
            THEN greatest(orders.in_flight_until, utc_now() + coalesce((p_leases->>'in_flight')::int, 0) * interval '1 millisecond')
            ELSE orders.in_flight_until END,
        due_at = CASE WHEN orders.phase <> 'done' THEN utc_now() + (p_leases->>orders.phase)::int * interval '1 millisecond' END,
        watch_at = CASE WHEN orders.phase = 'done' THEN utc_now() + (p_leases->>orders.phase)::int * interval '1 millisecond' END
    FROM (
        -- Watched ones get a quarter, however many others there are.
        SELECT id FROM (SELECT id FROM orders WHERE watch_at <= timezone('utc', now()) AND (p_leases->>'done')::int > 0
                        ORDER BY watch_at LIMIT greatest(1, p_limit / 4) FOR UPDATE SKIP LOCKED) watched
        UNION ALL
        SELECT id FROM (SELECT id FROM orders WHERE due_at <= timezone('utc', now())
                        ORDER BY due_at LIMIT p_limit FOR UPDATE SKIP LOCKED) unfinished
        LIMIT p_limit
    ) due
    WHERE orders.id = due.id
    RETURNING order_state(orders)
$$;

-- As before, and a dead letter is told in its order's journal, too.
CREATE OR REPLACE FUNCTION outbox_postpone(p_id UUID, p_error TEXT, p_delay_ms INT) RETURNS VOID LANGUAGE plpgsql AS
$$
DECLARE
    m outbox;
    seq INT;
BEGIN
    UPDATE outbox SET
        attempts = greatest(attempts, 1),
        last_error = p_error,
        due_at = utc_now() + coalesce(p_delay_ms, 0) * interval '1 millisecond',
        dead_at = CASE WHEN p_delay_ms IS NULL THEN utc_now() END
    WHERE id = p_id AND dead_at IS NULL RETURNING * INTO m;
    IF FOUND AND p_delay_ms IS NULL THEN
        UPDATE orders SET version = version + 1 WHERE id = m.order_id RETURNING version INTO seq;
        INSERT INTO order_events (order_id, seq, type, actor, data)
        VALUES (m.order_id, seq, 'message_dead', 'sweep',
                jsonb_build_object('message_id', m.id, 'kind', m.kind, 'attempts', m.attempts, 'reason', p_error));
        UPDATE order_counts SET outbox = outbox - 1, dead_letters = dead_letters + 1 WHERE shard = pg_backend_pid() % 16;
    END IF;
END
$$;

-- An order's journal as JSON text; no row when there is no such order.
CREATE FUNCTION order_journal(p_id UUID) RETURNS TABLE (journal TEXT) LANGUAGE sql STABLE AS
$$
    SELECT json_build_object('events', coalesce((
        SELECT json_agg(json_build_object('seq', e.seq, 'type', e.type, 'at', rfc3339(e.at), 'actor', e.actor, 'data', e.data) ORDER BY e.seq)
        FROM order_events e WHERE e.order_id = o.id), '[]'))::text
    FROM orders o WHERE o.id = p_id
$$;

-- What needs a person, and why, as JSON text: at most p_limit orders and as many messages. An order stands in the list once
-- for each reason.
--
-- No sequential scan: the planner takes what must never be for frequent, and would rather read all orders than an empty
-- index. No compilation: the price that it puts on the small tables' scans makes it seem worth while.
CREATE FUNCTION stuck(p_limit INT) RETURNS TEXT LANGUAGE sql STABLE SET enable_seqscan = off SET jit = off AS
$$
    WITH reasons AS (
        (SELECT id, 'no_answer' AS why, parked_at AS since, parked_reason AS reason
         FROM orders WHERE parked_at IS NOT NULL ORDER BY parked_at LIMIT p_limit + 1)
        UNION ALL
        (SELECT id, 'overdue', due_at, 'nobody has swept it'
         FROM orders WHERE due_at < timezone('utc', now()) - interval '10 minutes' ORDER BY due_at LIMIT p_limit + 1)
        UNION ALL
        (SELECT id, invariant, since, reason FROM order_violations ORDER BY since LIMIT p_limit + 1)
    ), dead AS (
        SELECT * FROM outbox WHERE dead_at IS NOT NULL ORDER BY dead_at LIMIT p_limit + 1
    )
    SELECT json_build_object(
        'orders', coalesce((
            SELECT json_agg(json_build_object('order_id', o.id, 'why', r.why, 'status', o.status, 'phase', o.phase,
                'attempts', o.attempts, 'since', rfc3339(r.since), 'reason', r.reason) ORDER BY r.since, o.id)
            FROM (SELECT * FROM reasons ORDER BY since LIMIT p_limit) r JOIN orders o ON o.id = r.id), '[]'),
        'messages', coalesce((
            SELECT json_agg(json_build_object('message_id', d.id, 'order_id', d.order_id, 'type', d.kind,
                'attempts', d.attempts, 'dead_since', rfc3339(d.dead_at), 'reason', d.last_error) ORDER BY d.dead_at, d.id)
            FROM (SELECT * FROM dead ORDER BY dead_at LIMIT p_limit) d), '[]'),
        'truncated', (SELECT count(*) FROM reasons) > p_limit OR (SELECT count(*) FROM dead) > p_limit
    )::text
$$;
CREATE INDEX outbox_dead ON outbox (dead_at) WHERE dead_at IS NOT NULL;

-- Makes parked orders and dead letters due at once: those that are named, or all when a list is NULL; at most p_limit of
-- each.
CREATE FUNCTION redrive(p_orders UUID[], p_messages UUID[], p_limit INT, OUT orders INT, OUT messages INT) LANGUAGE plpgsql AS
$$
DECLARE
    at TIMESTAMP := utc_now();
BEGIN
    WITH picked AS (
        SELECT o.id FROM orders o WHERE o.parked_at IS NOT NULL AND (p_orders IS NULL OR o.id = ANY (p_orders))
        ORDER BY o.parked_at LIMIT p_limit FOR UPDATE SKIP LOCKED
    ), driven AS (
        UPDATE orders o SET
            version = o.version + 1,
            updated_at = at,
            -- Not none: somebody has begun it before.
            attempts = 1,
            parked_at = NULL,
            parked_reason = NULL,
            -- Somebody who is at it goes on: what they may still send is waited for only when their lease is over.
            due_at = CASE WHEN o.phase <> 'done' THEN CASE WHEN o.leased THEN o.due_at ELSE at END END,
            watch_at = CASE WHEN o.phase = 'done' THEN CASE WHEN o.leased THEN o.watch_at ELSE at END END
        FROM picked WHERE o.id = picked.id RETURNING o.id, o.version
    )
    INSERT INTO order_events (order_id, seq, type, at, actor)
    SELECT d.id, d.version, 'redriven', at, 'operator' FROM driven d;
    GET DIAGNOSTICS orders = ROW_COUNT;

    UPDATE outbox m SET dead_at = NULL, attempts = 0, due_at = at
    FROM (SELECT d.id FROM outbox d WHERE d.dead_at IS NOT NULL AND (p_messages IS NULL OR d.id = ANY (p_messages))
          ORDER BY d.dead_at LIMIT p_limit FOR UPDATE SKIP LOCKED) picked
    WHERE m.id = picked.id;
    GET DIAGNOSTICS messages = ROW_COUNT;
    IF messages > 0 THEN
        UPDATE order_counts SET outbox = outbox + messages, dead_letters = dead_letters - messages
        WHERE shard = pg_backend_pid() % 16;
    END IF;
END
$$;

-- As before, and what should read zero: each counted up to ten thousand, over an index that is empty while all is well.
CREATE OR REPLACE FUNCTION metrics_summary() RETURNS TEXT LANGUAGE sql STABLE SET enable_seqscan = off SET jit = off AS
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
        'parked', (SELECT count(*) FROM (SELECT FROM orders WHERE parked_at IS NOT NULL LIMIT 10000) x),
        'violations', json_build_object(
            'paid_without_ticket', (SELECT count(*) FROM (SELECT FROM order_violations WHERE invariant = 'paid_without_ticket' LIMIT 10000) x),
            'ticket_without_payment', (SELECT count(*) FROM (SELECT FROM order_violations WHERE invariant = 'ticket_without_payment' LIMIT 10000) x),
            'claim_of_dead_order', (SELECT count(*) FROM (SELECT FROM order_violations WHERE invariant = 'claim_of_dead_order' LIMIT 10000) x),
            'pending_at_rest', (SELECT count(*) FROM (SELECT FROM order_violations WHERE invariant = 'pending_at_rest' LIMIT 10000) x),
            'refund_unknown', (SELECT count(*) FROM (SELECT FROM refunds
                WHERE settled_at IS NULL AND requested_at < timezone('utc', now()) - interval '1 minute' LIMIT 10000) x),
            'overdue', (SELECT count(*) FROM (SELECT FROM orders
                WHERE due_at < timezone('utc', now()) - interval '1 minute' LIMIT 10000) x)),
        'oldest_due_seconds', coalesce(greatest(0, extract(epoch FROM utc_now() - (SELECT min(due_at) FROM orders WHERE due_at IS NOT NULL))), 0)::float8,
        'outbox_age_seconds', coalesce(extract(epoch FROM utc_now() - (SELECT min(created_at) FROM outbox WHERE dead_at IS NULL)), 0)::float8,
        'work', coalesce((SELECT json_agg(w ORDER BY w.name, w.label) FROM work_counts w), '[]'),
        'uptime_seconds', coalesce((SELECT extract(epoch FROM utc_now() - started_at) FROM heartbeat), 0)::float8
    )::text
$$;

INSERT INTO schema_migrations (version) VALUES ('0003_whole_life');
