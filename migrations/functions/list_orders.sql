-- Lists orders, newest first: those of a user, of an event, in a status, where they are not NULL. Keyset pagination: those before
-- p_before (microseconds since 1970) and p_before_id, from the newest where these are NULL.
--
-- The best index is walked: that of the user, else of the event, else of all; the other conditions are looked at on the way. At most
-- p_visits orders are visited, so that a page costs the same however many orders there are; it may be short then, or empty.
--
-- Returns {documents, before, before_id}: a JSON array, and where the next page begins; NULLs where there is no other one. On a
-- read-only server, which may be behind since a failover, there is a fourth element, 'read-only'.
-- Locks nothing. Commit: none is needed, it writes nothing.
CREATE OR REPLACE FUNCTION list_orders(
    p_user INT,
    p_event INT,
    p_status TEXT,
    p_before BIGINT,
    p_before_id UUID,
    p_limit INT,
    p_visits INT
) RETURNS TEXT[] LANGUAGE plpgsql STABLE AS
$$
DECLARE
    before TIMESTAMP := coalesce(timestamp 'epoch' + p_before * interval '1 microsecond', 'infinity');
    before_id UUID := coalesce(p_before_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff');
    candidates REFCURSOR;
    o orders;
    visited INT := 0;
    last_at TIMESTAMP;
    last_id UUID;
    has_more BOOLEAN := false;
    documents TEXT[] := '{}';
    answer TEXT[];
BEGIN
    -- The order names all columns of the index, and equality stands as a range, so that no other index gives it without sorting. There
    -- is one upper bound, the row: with another one PostgreSQL might begin there, and pass over all pages before this one.
    IF p_user IS NOT NULL THEN
        OPEN candidates FOR SELECT * FROM orders
            WHERE user_id >= p_user AND (user_id, created_at, id) < (p_user, before, before_id)
            ORDER BY user_id DESC, created_at DESC, id DESC;
    ELSIF p_event IS NOT NULL THEN
        OPEN candidates FOR SELECT * FROM orders
            WHERE event_id >= p_event AND (event_id, created_at, id) < (p_event, before, before_id)
            ORDER BY event_id DESC, created_at DESC, id DESC;
    ELSE
        OPEN candidates FOR SELECT * FROM orders
            WHERE (created_at, id) < (before, before_id) ORDER BY created_at DESC, id DESC;
    END IF;
    LOOP
        FETCH candidates INTO o;
        EXIT WHEN NOT FOUND;
        has_more := cardinality(documents) = p_limit OR visited = p_visits;
        EXIT WHEN has_more;
        visited := visited + 1;
        last_at := o.created_at;
        last_id := o.id;
        IF (p_status IS NULL OR o.status = p_status) AND (p_event IS NULL OR o.event_id = p_event) THEN
            documents := documents || render_document(o);
        END IF;
    END LOOP;
    CLOSE candidates;

    answer := ARRAY['[' || array_to_string(documents, ',') || ']',
        CASE WHEN has_more THEN (extract(epoch FROM last_at) * 1000000)::bigint::text END, CASE WHEN has_more THEN last_id::text END];
    IF current_setting('transaction_read_only')::boolean THEN
        RETURN answer || 'read-only'::text;
    END IF;
    RETURN answer;
END
$$;
