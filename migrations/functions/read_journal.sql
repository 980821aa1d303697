-- Old: reads an order's journal, for copies of the version before: see read_journal_page.
--
-- Returns one row with JSON text {events}; no row when there is no such order.
-- On a read-only server an order that is not there may have been placed at another one since a failover: 25006 then, and no answer.
-- Locks nothing. Commit: none is needed, it writes nothing.
CREATE OR REPLACE FUNCTION read_journal(p_id UUID) RETURNS TABLE (journal TEXT) LANGUAGE plpgsql STABLE AS
$$
BEGIN
    RETURN QUERY SELECT json_build_object('events', coalesce((
        SELECT json_agg(CASE WHEN e.count = 1
            THEN json_build_object('seq', e.seq, 'type', e.type, 'at', format_time(e.at), 'actor', e.actor, 'data', e.data)
            ELSE json_build_object('seq', e.seq, 'type', e.type, 'at', format_time(e.at), 'actor', e.actor, 'data', e.data,
                                   'count', e.count, 'last_at', format_time(e.last_at)) END ORDER BY e.seq)
        FROM order_events e WHERE e.order_id = o.id), '[]'))::text
    FROM orders o WHERE o.id = p_id;
    IF NOT FOUND THEN
        PERFORM require_writable_server();
    END IF;
END
$$;
