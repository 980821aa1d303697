-- Describes the events of a transition: [{"type", "data"}, ...], in order. `data` is what is not in the order's row for good, so that an
-- event says the same whenever it is sent. Called by apply_transition with the row as it has just become.
--
-- p_issued, p_voided: when tickets were issued or voided, if that is part of it.
-- Returns a JSON array; NULL when there is none.
-- Locks nothing. Commit: none is needed, it writes nothing.
CREATE OR REPLACE FUNCTION describe_events(o orders, p_was_status TEXT, p_issued TIMESTAMP, p_voided TIMESTAMP) RETURNS JSONB
LANGUAGE plpgsql STABLE AS
$$
DECLARE
    events JSONB := '[]';
    tickets JSONB;
BEGIN
    IF o.status <> p_was_status AND o.status <> 'PENDING' THEN
        events := jsonb_build_array(jsonb_build_object('type', 'order.' || lower(o.status), 'data', jsonb_build_object(
            'subtotal_cents', coalesce(o.subtotal_cents, o.total_cents - o.tax_cents), 'tax_cents', o.tax_cents, 'total_cents', o.total_cents,
            'payment_id', o.payment_id,
            'failure', CASE WHEN o.failure_code IS NOT NULL THEN jsonb_build_object('code', o.failure_code, 'detail', o.failure_detail) END)));
    END IF;
    IF p_issued IS NOT NULL OR p_voided IS NOT NULL THEN
        SELECT jsonb_agg(jsonb_build_object(
            'type', CASE WHEN t.voided_at IS NULL THEN 'ticket.issued' ELSE 'ticket.voided' END,
            'data', jsonb_build_object('ticket_id', t.id, 'ticket_code', t.ticket_code, 'seat_id', t.seat_id, 'seat_code', (
                SELECT i.seat_code FROM order_items i WHERE i.order_id = o.id AND i.seat_id = t.seat_id ORDER BY i.id LIMIT 1)))
            ORDER BY t.seat_id, t.id)
        INTO tickets FROM tickets t
        WHERE t.order_id = o.id AND (t.issued_at = p_issued AND t.voided_at IS NULL OR t.voided_at = p_voided);
        events := events || coalesce(tickets, '[]');
    END IF;
    RETURN nullif(events, '[]');
END
$$;
