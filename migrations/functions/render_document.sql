-- Renders the order document of the HTTP contract, from the order's row and its items and tickets.
--
-- Returns JSON text.
-- Locks nothing. Commit: none is needed, it writes nothing.
CREATE OR REPLACE FUNCTION render_document(o orders) RETURNS TEXT LANGUAGE plpgsql STABLE AS
$$
DECLARE
    items JSON;
    tickets JSON;
BEGIN
    items := (
        SELECT json_agg(json_build_object('seat_id', i.seat_id, 'seat_code', i.seat_code, 'seat_price_cents', i.seat_price_cents) ORDER BY i.seat_id, i.id)
        FROM order_items i WHERE i.order_id = o.id);
    -- Most orders that are read wait for their payment, and have none. A statement that does not run is not set up either, as a
    -- subquery is.
    IF o.status <> 'PENDING' OR o.valid_tickets <> 0 OR o.request_hash IS NULL THEN
        tickets := (
            SELECT json_agg(json_build_object('id', t.id, 'seat_id', t.seat_id,
                'seat_code', (SELECT i.seat_code FROM order_items i WHERE i.order_id = o.id AND i.seat_id = t.seat_id ORDER BY i.id LIMIT 1),
                'ticket_code', t.ticket_code, 'status', CASE WHEN t.voided_at IS NULL THEN 'VALID' ELSE 'VOID' END,
                'issued_at', format_time(t.issued_at), 'redeemed_at', NULL) ORDER BY t.seat_id, t.id)
            FROM tickets t WHERE t.order_id = o.id);
    END IF;
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
            'expires_at', CASE WHEN o.status = 'PENDING' THEN format_time(o.expires_at) END,
            'created_at', format_time(o.created_at), 'updated_at', format_time(o.updated_at)),
        'items', coalesce(items, '[]'),
        'tickets', coalesce(tickets, '[]'),
        'payment', CASE WHEN o.payment_id IS NOT NULL THEN
            json_build_object('id', o.payment_id, 'status', o.payment_status, 'amount_cents', o.total_cents) END
    )::text;
END
$$;
