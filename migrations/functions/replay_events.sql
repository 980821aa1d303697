-- Sends events to a sink again: of the orders p_orders all; or, where that is NULL, of the next p_limit journal entries those that
-- list_events lists after (p_xid, p_order, p_sequence), or from p_since on, and what came after them in these orders.
--
-- Returns {orders, server, xid, order}: how many orders are sent again, and where to go on, which is NULL when that was all;
-- {other_server} where p_server is another one. Raises read_only_sql_transaction on a read-only server.
-- Locks: the deliveries, in ascending order of the orders; of one sink, so that nobody deadlocks.
-- Commit: durable.
CREATE OR REPLACE FUNCTION replay_events(p_sink TEXT, p_orders UUID[], p_server BIGINT, p_xid BIGINT, p_order UUID, p_sequence INT, p_since BIGINT, p_limit INT)
RETURNS TEXT[] LANGUAGE plpgsql AS
$$
DECLARE
    at CONSTANT TIMESTAMP := timezone('utc', clock_timestamp());
    horizon CONSTANT XID8 := pg_snapshot_xmin(pg_current_snapshot());
    nobody CONSTANT UUID := '00000000-0000-0000-0000-000000000000';
    server BIGINT := identify_server();
    from_xid XID8 := p_xid::text::xid8;
    next_xid XID8;
    next_order UUID;
    sent_again INT;
BEGIN
    PERFORM require_writable_server();
    IF p_server <> server THEN
        RETURN ARRAY['other_server'];
    END IF;
    IF p_orders IS NULL THEN
        IF from_xid IS NULL THEN
            from_xid := CASE WHEN p_since IS NULL THEN '0' ELSE find_change_mark(timestamp 'epoch' + p_since * interval '1 microsecond', horizon) END;
        END IF;
        SELECT e.xid, e.order_id INTO next_xid, next_order FROM order_events e
        WHERE (e.xid, e.order_id) >= (from_xid, coalesce(p_order, nobody)) AND e.xid < horizon
        ORDER BY e.xid, e.order_id, e.seq OFFSET p_limit LIMIT 1;
    END IF;
    INSERT INTO event_deliveries AS d (order_id, sink, next, last, due_at)
    SELECT o.id, p_sink, first.sequence, count_events(o.id), at
    FROM (
        SELECT id AS order_id, 1 AS sequence FROM unnest(p_orders) AS one (id) GROUP BY id
        UNION ALL
        SELECT e.order_id, min(e.sequence) FROM order_events e
        WHERE p_orders IS NULL AND (e.xid, e.order_id) >= (from_xid, coalesce(p_order, nobody)) AND e.xid < horizon
          AND (e.xid <> from_xid OR e.order_id <> p_order OR e.sequence + jsonb_array_length(e.events) - 1 > p_sequence) IS NOT FALSE
          -- Both bounds are of the index, whatever they are: an OR would be a filter.
          AND (e.xid, e.order_id) < (coalesce(next_xid, horizon), coalesce(next_order, nobody))
        GROUP BY e.order_id
    ) first
    JOIN orders o ON o.id = first.order_id AND count_events(o.id) > 0
    ORDER BY o.id
    ON CONFLICT (order_id, sink) DO UPDATE SET
        next = least(d.next, excluded.next),
        last = greatest(d.last, excluded.last),
        due_at = at,
        dead_at = NULL,
        attempts = 0,
        -- What comes of a delivery that is under way is left out.
        lease = d.lease + 1;
    GET DIAGNOSTICS sent_again = ROW_COUNT;
    RETURN ARRAY[sent_again::text, server::text, next_xid::text, next_order::text];
END
$$;
