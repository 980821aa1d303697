-- Sends events to a sink again: of the orders p_orders all; or, where that is NULL, of the next p_limit journal entries those that
-- list_events lists after (p_xid, p_order, p_sequence), or from p_since on, and what came after them in these orders.
--
-- Returns {orders, server, xid, order}: how many orders are sent again, and where to go on, which is NULL when that was all;
-- {other_server} where p_server is another one, or the number is one that it has not given yet: it was restored. Raises read_only_sql_transaction on a read-only server.
-- Locks: the orders, against being deleted, and their deliveries of one sink, in ascending order: the order first, as everybody else, so
-- that nobody deadlocks. p_lease_ms: for how long a claim holds a delivery at most.
-- Commit: durable.
CREATE OR REPLACE FUNCTION replay_events(p_sink TEXT, p_orders UUID[], p_server BIGINT, p_xid BIGINT, p_order UUID, p_sequence INT, p_since BIGINT, p_limit INT, p_lease_ms INT)
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
    IF p_server <> server OR from_xid > pg_snapshot_xmax(pg_current_snapshot()) THEN
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
    SELECT o.id, p_sink, first.sequence, counted.last, at
    FROM (SELECT x.order_id, x.sequence FROM (
        SELECT id AS order_id, 1 AS sequence FROM unnest(p_orders) AS one (id) GROUP BY id
        UNION ALL
        SELECT e.order_id, min(e.sequence) FROM order_events e
        WHERE p_orders IS NULL AND (e.xid, e.order_id) >= (from_xid, coalesce(p_order, nobody)) AND e.xid < horizon
          AND (e.xid <> from_xid OR e.order_id <> p_order OR e.sequence + jsonb_array_length(e.events) - 1 > p_sequence) IS NOT FALSE
          -- Both bounds are of the index, whatever they are: an OR would be a filter.
          AND (e.xid, e.order_id) < (coalesce(next_xid, horizon), coalesce(next_order, nobody))
        GROUP BY e.order_id
    ) x ORDER BY x.order_id) first
    -- Each is a look-up, whatever the planner believes of how many there are. The lock keeps the order from being archived meanwhile.
    CROSS JOIN LATERAL (SELECT id FROM orders WHERE id = first.order_id OFFSET 0 FOR KEY SHARE) o
    CROSS JOIN LATERAL (SELECT count_events(o.id) AS last OFFSET 0) counted
    WHERE counted.last > 0
    ON CONFLICT (order_id, sink) DO UPDATE SET
        next = least(d.next, excluded.next),
        last = greatest(d.last, excluded.last),
        -- One that may be under way, under a lease, is not sent twice at once. What is due later than any lease ends was refused.
        due_at = CASE WHEN d.dead_at IS NULL AND d.due_at > at AND d.due_at <= at + p_lease_ms * interval '1 millisecond' THEN d.due_at ELSE at END,
        dead_at = NULL,
        attempts = 0,
        -- What comes of a delivery that is under way is left out.
        lease = d.lease + 1;
    GET DIAGNOSTICS sent_again = ROW_COUNT;
    RETURN ARRAY[sent_again::text, server::text, next_xid::text, next_order::text];
END
$$;
