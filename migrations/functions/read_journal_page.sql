-- Reads a page of an order's journal: at most p_limit entries after the one with the number p_after, in order. Only if the order is of
-- the user p_owner, where that is not NULL.
--
-- Returns {events, after}: a JSON array, and where the next page begins, NULL where there is no other one; NULL when there is no such
-- order. An entry that is counted up keeps its number, and so its place.
-- A read-only server may be behind since a failover: what it answers has a third element, 'read-only', and for an order that is not
-- there it is 25006.
-- Locks nothing. Commit: none is needed, it writes nothing.
CREATE OR REPLACE FUNCTION read_journal_page(p_id UUID, p_owner INT, p_after INT, p_limit INT) RETURNS TEXT[] LANGUAGE plpgsql STABLE AS
$$
DECLARE
    events TEXT;
    last_seq INT;
    answer TEXT[];
BEGIN
    PERFORM FROM orders WHERE id = p_id AND (p_owner IS NULL OR user_id = p_owner);
    IF NOT FOUND THEN
        PERFORM require_writable_server();
        RETURN NULL;
    END IF;
    SELECT json_agg(CASE WHEN e.count = 1
            THEN json_build_object('seq', e.seq, 'type', e.type, 'at', format_time(e.at), 'actor', e.actor, 'data', e.data)
            ELSE json_build_object('seq', e.seq, 'type', e.type, 'at', format_time(e.at), 'actor', e.actor, 'data', e.data,
                                   'count', e.count, 'last_at', format_time(e.last_at)) END ORDER BY e.seq)::text, max(e.seq)
    INTO events, last_seq
    FROM (SELECT * FROM order_events j WHERE j.order_id = p_id AND j.seq > p_after ORDER BY j.seq LIMIT p_limit) e;
    answer := ARRAY[coalesce(events, '[]'),
        (SELECT last_seq WHERE EXISTS (SELECT FROM order_events j WHERE j.order_id = p_id AND j.seq > last_seq))::text];
    IF current_setting('transaction_read_only')::boolean THEN
        RETURN answer || 'read-only'::text;
    END IF;
    RETURN answer;
END
$$;
