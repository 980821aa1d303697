-- Looks orders up, newest first: by the idempotency key; by a payment, the order's own or one beside it; by a ticket's code; or by a
-- seat of an event, which the orders hold or have held. Only those of the user p_owner, where that is not NULL. Of the others one is not
-- NULL, or the event and the seat. Keyset pagination as in list_orders.
--
-- Returns what list_orders returns.
-- Locks nothing. Commit: none is needed, it writes nothing.
CREATE OR REPLACE FUNCTION find_orders(
    p_owner INT,
    p_key TEXT,
    p_payment UUID,
    p_ticket TEXT,
    p_event INT,
    p_seat INT,
    p_before BIGINT,
    p_before_id UUID,
    p_limit INT
) RETURNS TEXT[] LANGUAGE plpgsql STABLE AS
$$
DECLARE
    before TIMESTAMP := coalesce(timestamp 'epoch' + p_before * interval '1 microsecond', 'infinity');
    before_id UUID := coalesce(p_before_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff');
    ids UUID[];
    o orders;
    last_at TIMESTAMP;
    last_id UUID;
    has_more BOOLEAN := false;
    documents TEXT[] := '{}';
    answer TEXT[];
BEGIN
    IF p_key IS NOT NULL THEN
        ids := ARRAY(SELECT id FROM orders WHERE idempotency_key = p_key);
    ELSIF p_payment IS NOT NULL THEN
        ids := ARRAY(SELECT id FROM orders WHERE payment_id = p_payment
                     UNION SELECT order_id FROM payment_refunds WHERE payment_id = p_payment);
    ELSIF p_ticket IS NOT NULL THEN
        ids := ARRAY(SELECT order_id FROM tickets WHERE ticket_code = p_ticket);
    ELSE
        ids := ARRAY(SELECT order_id FROM seat_claims WHERE event_id = p_event AND seat_id = p_seat
                     UNION SELECT order_id FROM order_items WHERE seat_id = p_seat);
    END IF;

    -- MATERIALIZED: else PostgreSQL might walk all orders, newest first, until it has met these.
    FOR o IN WITH found AS MATERIALIZED (SELECT * FROM orders WHERE id = ANY (ids))
        SELECT * FROM found
        WHERE (p_owner IS NULL OR user_id = p_owner) AND (p_event IS NULL OR event_id = p_event)
          AND (created_at, id) < (before, before_id)
        ORDER BY created_at DESC, id DESC LIMIT p_limit + 1
    LOOP
        has_more := cardinality(documents) = p_limit;
        EXIT WHEN has_more;
        last_at := o.created_at;
        last_id := o.id;
        documents := documents || render_document(o);
    END LOOP;

    answer := ARRAY['[' || array_to_string(documents, ',') || ']',
        CASE WHEN has_more THEN (extract(epoch FROM last_at) * 1000000)::bigint::text END, CASE WHEN has_more THEN last_id::text END];
    IF current_setting('transaction_read_only')::boolean THEN
        RETURN answer || 'read-only'::text;
    END IF;
    RETURN answer;
END
$$;
