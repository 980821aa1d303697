-- Renders the part of an order's row on which decisions depend (domain::order::Order). Reads no table.
--
-- Returns JSON text.
-- Locks nothing. Commit: none is needed, it writes nothing.
CREATE OR REPLACE FUNCTION render_state(o orders) RETURNS TEXT LANGUAGE plpgsql STABLE AS
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
        'expires_in_ms', count_milliseconds(o.expires_at - at), 'hold_in_ms', count_milliseconds(o.hold_until - at),
        'in_flight_ms', count_milliseconds(o.in_flight_until - at), 'phase_ms', count_milliseconds(at - o.phase_since),
        'refund_again_in_ms', CASE WHEN o.refund_again_at IS NOT NULL THEN count_milliseconds(o.refund_again_at - at) END,
        'given_up', o.given_up, 'payment_unsure', o.payment_unsure, 'parked', o.parked_at IS NOT NULL, 'traceparent', o.traceparent,
        'tracestate', o.tracestate
    )::text;
END
$$;
