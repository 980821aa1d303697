-- Renders the order document of the HTTP contract, from the order's row and its items and tickets.
--
-- Returns JSON text, without whitespace between its tokens. It is put together as text: building it of JSON objects costs a tenth of a
-- read. What is free text goes through to_json, which quotes it; what may be NULL, in an inherited row too, goes through coalesce.
-- Locks nothing. Commit: none is needed, it writes nothing.
CREATE OR REPLACE FUNCTION render_document(o orders) RETURNS TEXT LANGUAGE plpgsql STABLE AS
$$
DECLARE
    items TEXT;
    tickets TEXT;
BEGIN
    SELECT string_agg(concat(
            '{"seat_id":', i.seat_id,
            ',"seat_code":', coalesce(to_json(i.seat_code)::text, 'null'),
            ',"seat_price_cents":', i.seat_price_cents, '}'), ',' ORDER BY i.seat_id, i.id)
    INTO items FROM order_items i WHERE i.order_id = o.id;
    -- Most orders that are read wait for their payment, and have none. A statement that does not run is not set up either, as a
    -- subquery is.
    IF o.status <> 'PENDING' OR o.valid_tickets <> 0 OR o.request_hash IS NULL THEN
        SELECT string_agg(concat(
                '{"id":"', t.id,
                '","seat_id":', coalesce(t.seat_id::text, 'null'),
                ',"seat_code":', coalesce(to_json((
                    SELECT i.seat_code FROM order_items i WHERE i.order_id = o.id AND i.seat_id = t.seat_id ORDER BY i.id LIMIT 1))::text, 'null'),
                ',"ticket_code":', coalesce(to_json(t.ticket_code)::text, 'null'),
                ',"status":"', CASE WHEN t.voided_at IS NULL THEN 'VALID' ELSE 'VOID' END,
                '","issued_at":', coalesce('"' || format_time(t.issued_at) || '"', 'null'),
                ',"redeemed_at":null}'), ',' ORDER BY t.seat_id, t.id)
        INTO tickets FROM tickets t WHERE t.order_id = o.id;
    END IF;
    RETURN concat(
        '{"order":{"id":"', o.id,
        '","idempotency_key":', coalesce(to_json(o.idempotency_key)::text, 'null'),
        ',"user_id":', coalesce(o.user_id::text, 'null'),
        ',"event_id":', coalesce(o.event_id::text, 'null'),
        ',"status":', to_json(o.status),
        ',"phase":"', o.phase,
        '","failure":', CASE
            WHEN o.failure_code IS NOT NULL THEN
                concat('{"code":', to_json(o.failure_code), ',"detail":', coalesce(to_json(o.failure_detail)::text, 'null'), '}')
            WHEN o.status = 'FAILED' THEN '{"code":"order_failed","detail":"The order failed; the reason was not recorded."}'
            ELSE 'null' END,
        ',"currency":', to_json(o.currency),
        ',"subtotal_cents":', coalesce((coalesce(o.subtotal_cents, o.total_cents - o.tax_cents))::text, 'null'),
        ',"tax_cents":', coalesce(o.tax_cents::text, 'null'),
        ',"total_cents":', coalesce(o.total_cents::text, 'null'),
        ',"expires_at":', CASE WHEN o.status = 'PENDING' THEN coalesce('"' || format_time(o.expires_at) || '"', 'null') ELSE 'null' END,
        ',"created_at":"', format_time(o.created_at),
        '","updated_at":"', format_time(o.updated_at),
        '"},"items":[', items,
        '],"tickets":[', tickets,
        '],"payment":', CASE WHEN o.payment_id IS NOT NULL THEN
            concat('{"id":"', o.payment_id, '","status":', coalesce(to_json(o.payment_status)::text, 'null'), ',"amount_cents":', coalesce(o.total_cents::text, 'null'), '}')
            ELSE 'null' END,
        '}');
END
$$;
