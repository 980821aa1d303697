-- Stores a transition: order row, items, tickets, claims, journal, events, refund and outbox together. Optimistic concurrency: only if
-- the order still has the version on which it was decided and, unless p_lease is NULL, the lease (the fencing token).
--
-- Returns
--   {applied, version, lease, expires_in_ms, hold_in_ms, in_flight_ms, document}: it is stored;
--   {conflict, state, document}: the version check failed, because of a concurrent transition; decide again;
--   {claimed, state}: another live order has one of the seats;
--   {foreign, state}: another order has the payment;
--   {gone}: there is no such order.
-- The document is NULL unless p_document asks for it. Raises serialization_failure when a seat was claimed concurrently,
-- and unique_violation when another order took the payment concurrently: the repeated statement returns {foreign}.
--
-- p_event: the type of the journal's entry (in insert_order it is the id of the event that seats are ordered for).
--
-- Locks: the order's row first; then its claims in ascending order, so that transitions cannot deadlock.
-- Commit: durable. But what the charge answered may be lost while the payment is pending, so that one is asynchronous: a crash
-- of PostgreSQL leaves the order in phase 'charging', whose charge is repeated under the same key and gives the same payment.
--
-- p_due: 'never', 'unchanged', 'expiry', 'settled', 'watch' (p_due_ms: the shortest wait), 'in' (p_due_ms from now).
-- p_more has what is rare: failure_code, failure_detail, failure_is_new, in_flight_ms, renew_seconds, renew_hold_seconds,
-- watch_cap_ms, void_tickets, claims ('take', 'drop'), message {id, kind, payload, lease_ms}, refund_was (the status of the
-- payment before, where the order's refund is to be followed), refund_again_ms (Payment has just accepted the refund), replaced
-- (a payment without money, which goes back if it succeeds), replaced_failed (it has failed), charge_open_ms (a charge may
-- stay without an answer, and is repeated after so long, as a check), sinks (whom events are sent to), repeats (only an attempt more: the newest entry of its type is
-- counted up, if it came after the one that began the present phase, whose reason stays, and is among the journal's sixteen newest,
-- which is more than a phase has kinds of attempts).
CREATE OR REPLACE FUNCTION apply_transition(
    p_id UUID,
    p_version INT,
    p_lease INT,
    p_was_status TEXT,
    p_was_phase TEXT,
    p_status TEXT,
    p_phase TEXT,
    p_hold TEXT,
    p_attempts INT,
    p_payment_id UUID,
    p_payment_status TEXT,
    p_payment_unsure BOOLEAN,
    p_given_up BOOLEAN,
    p_parked BOOLEAN,
    p_due TEXT,
    p_due_ms BIGINT,
    p_leased BOOLEAN,
    p_subtotal INT,
    p_tax INT,
    p_total INT,
    p_seat_codes TEXT[],
    p_seat_prices INT[],
    p_ticket_ids TEXT[],
    p_ticket_codes TEXT[],
    p_event TEXT,
    p_actor TEXT,
    p_data JSONB,
    p_more JSONB,
    p_document BOOLEAN
) RETURNS TEXT[] LANGUAGE plpgsql AS
$$
DECLARE
    at TIMESTAMP := timezone('utc', clock_timestamp());
    o orders;
    issued INT := 0;
    voided INT := 0;
    claims INT := 0;
    repeated BOOLEAN := false;
    events JSONB;
    last_event INT;
BEGIN
    -- What the charge answered: see above.
    IF p_phase = 'awaiting_payment' AND p_was_phase = 'charging' AND p_payment_status = 'PENDING' THEN
        PERFORM set_config('synchronous_commit', 'off', true);
    END IF;

    -- One payment belongs to one order.
    IF p_payment_id IS NOT NULL AND (
        EXISTS (SELECT FROM orders WHERE payment_id = p_payment_id AND id <> p_id)
        OR EXISTS (SELECT FROM payment_refunds WHERE payment_id = p_payment_id AND order_id <> p_id)) THEN
        PERFORM require_writable_server();
        SELECT * INTO o FROM orders WHERE id = p_id;
        RETURN CASE WHEN FOUND THEN ARRAY['foreign', render_state(o)] ELSE ARRAY['gone'] END;
    END IF;

    -- Tickets and claims are written before the order's row, which counts what was really written.
    IF p_ticket_ids IS NOT NULL OR p_more ?| ARRAY['void_tickets', 'claims'] THEN
        SELECT * INTO o FROM orders WHERE id = p_id FOR UPDATE;
        IF NOT FOUND THEN
            RETURN ARRAY['gone'];
        ELSIF o.version <> p_version OR o.lease <> p_lease THEN
            RETURN report_conflict(o, p_document);
        END IF;
        IF p_more->>'claims' = 'take' THEN
            claims := take_claims(o);
            IF claims IS NULL THEN
                RETURN ARRAY['claimed', render_state(o)];
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
        changed_xid = pg_current_xact_id(),
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
        -- Of this refund; the phase's end is the refund's.
        refund_again_at = CASE WHEN p_phase = 'refunding' AND p_was_phase = 'refunding'
            THEN coalesce(at + (p_more->>'refund_again_ms')::bigint * interval '1 millisecond', w.refund_again_at) END,
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
        RETURN report_conflict(o, p_document);
    END IF;

    IF p_seat_prices IS NOT NULL THEN
        INSERT INTO order_items (order_id, seat_id, seat_code, seat_price_cents)
        SELECT p_id, i.seat_id, i.code, i.price FROM unnest(o.seats, p_seat_codes, p_seat_prices) AS i (seat_id, code, price);
    END IF;
    IF p_more ? 'repeats' THEN
        UPDATE order_events e SET count = e.count + 1, last_at = o.updated_at, data = p_data
        WHERE e.order_id = p_id AND e.seq = (
            SELECT max(n.seq) FROM (
                SELECT x.seq, x.type, x.at FROM order_events x WHERE x.order_id = p_id ORDER BY x.seq DESC LIMIT 16) n
            WHERE n.type = p_event AND n.at > o.phase_since);
        repeated := FOUND;
    END IF;
    -- Few transitions make events.
    IF p_status <> p_was_status OR issued + voided > 0 THEN
        events := describe_events(o, p_was_status, CASE WHEN issued > 0 THEN at END, CASE WHEN voided > 0 THEN at END);
    END IF;
    IF events IS NOT NULL THEN
        last_event := count_events(p_id);
        INSERT INTO order_events (order_id, seq, type, at, actor, data, events, sequence, xid)
        VALUES (p_id, o.version, p_event, at, p_actor, p_data, events, last_event + 1, o.changed_xid);
        IF p_more ? 'sinks' THEN
            PERFORM queue_events(p_id, last_event + jsonb_array_length(events), ARRAY(SELECT jsonb_array_elements_text(p_more->'sinks')), at);
        END IF;
    ELSIF NOT repeated THEN
        INSERT INTO order_events (order_id, seq, type, at, actor, data)
        VALUES (p_id, o.version, p_event, at, p_actor, p_data);
    END IF;
    IF p_more IS NOT NULL THEN
        IF p_more ? 'replaced' THEN
            INSERT INTO payment_refunds (payment_id, order_id, created_at, due_at, undecided, settled_at, outcome)
            VALUES ((p_more->>'replaced')::uuid, p_id, at, CASE WHEN NOT p_more ? 'replaced_failed' THEN at END, true,
                    CASE WHEN p_more ? 'replaced_failed' THEN at END, CASE WHEN p_more ? 'replaced_failed' THEN 'FAILED' END)
            ON CONFLICT DO NOTHING;
        END IF;
        IF p_more ? 'charge_open_ms' THEN
            INSERT INTO payment_refunds (order_id, created_at, due_at, undecided)
            VALUES (p_id, at, at + (p_more->>'charge_open_ms')::bigint * interval '1 millisecond', true) ON CONFLICT DO NOTHING;
        END IF;
        IF p_more ? 'refund_was' THEN
            PERFORM follow_refund(o, p_was_phase, p_more->>'refund_was', p_event, at);
        END IF;
        IF p_more ? 'message' THEN
            INSERT INTO outbox (id, order_id, seq, kind, payload, due_at)
            VALUES ((p_more->'message'->>'id')::uuid, p_id, o.version, p_more->'message'->>'kind', p_more->'message'->>'payload',
                    at + (p_more->'message'->>'lease_ms')::int * interval '1 millisecond');
        END IF;
    END IF;

    IF p_status <> p_was_status OR p_phase <> p_was_phase OR issued > 0 OR p_more ?| ARRAY['message', 'failure_is_new'] THEN
        INSERT INTO order_changes (was_status, status, was_phase, phase, tickets, outbox, failure_code)
        VALUES (p_was_status, p_status, p_was_phase, p_phase, issued, coalesce(p_more ? 'message', false)::int,
                CASE WHEN p_more ? 'failure_is_new' THEN o.failure_code END);
    END IF;

    RETURN ARRAY['applied', o.version::text, o.lease::text, count_milliseconds(o.expires_at - at)::text,
        count_milliseconds(o.hold_until - at)::text, count_milliseconds(o.in_flight_until - at)::text,
        CASE WHEN p_document THEN render_document(o) END];
END
$$;
