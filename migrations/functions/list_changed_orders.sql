-- Lists orders in the order in which they changed, each at its last change: those of a user, of an event, in a status, where they are
-- not NULL. For keeping a copy in step: whoever goes on from page to page misses no change, also none that is committed late.
--
-- An order has the number of the transaction that changed it last. Orders are listed by (number, id), and only those whose number is
-- below that of the oldest running transaction: what has such a number is committed, or never will be. A transaction that stays open
-- holds the list back (order_service_updated_since_delay_seconds).
--
-- Begins after p_xid and p_id, or, where p_xid is NULL, at p_since (microseconds since 1970): with what was committed after that time,
-- and maybe with some that changed a little before; change_marks has the numbers. Since a time in the future: from now on.
--
-- At most p_visits orders are visited. A user's orders, if they are no more than that, are all read instead, so that the user need not
-- follow all others' changes.
--
-- p_server: of which server the numbers are. They mean nothing after a failover, or in a restored copy.
-- Returns {documents, server, xid, id}: a JSON array, and where the next page begins, which there always is; {other_server} where
-- p_server is another one. Raises read_only_sql_transaction on a read-only server.
-- Locks nothing.
-- Commit: waits for the local log, and with it for all that was committed before: what was told must not be lost in a crash, because
-- numbers that were lost are given again.
CREATE OR REPLACE FUNCTION list_changed_orders(
    p_user INT,
    p_event INT,
    p_status TEXT,
    p_since BIGINT,
    p_server BIGINT,
    p_xid BIGINT,
    p_id UUID,
    p_limit INT,
    p_visits INT
) RETURNS TEXT[] LANGUAGE plpgsql STABLE AS
$$
DECLARE
    -- STABLE: this is the snapshot in which the orders are read, too.
    horizon CONSTANT XID8 := pg_snapshot_xmin(pg_current_snapshot());
    nobody CONSTANT UUID := '00000000-0000-0000-0000-000000000000';
    server BIGINT;
    since TIMESTAMP := timestamp 'epoch' + p_since * interval '1 microsecond';
    after XID8 := p_xid::text::xid8;
    after_id UUID := coalesce(p_id, nobody);
    candidates REFCURSOR;
    o orders;
    visited INT := 0;
    has_more BOOLEAN := false;
    documents TEXT[] := '{}';
BEGIN
    PERFORM require_writable_server();
    PERFORM set_config('synchronous_commit', 'local', true);
    -- Something must be written to the log, else the commit waits for nothing.
    PERFORM pg_logical_emit_message(true, 'order-service', '');

    server := identify_server();
    -- A number that is not given yet is from before the server was restored.
    IF p_server <> server OR after > pg_snapshot_xmax(pg_current_snapshot()) THEN
        RETURN ARRAY['other_server'];
    END IF;
    IF after IS NULL THEN
        after := find_change_mark(since, horizon);
    END IF;

    -- Equality stands as a range, and the order names all columns of the index, so that no other index gives it without sorting.
    IF p_user IS NOT NULL AND (SELECT count(*) FROM (
            SELECT FROM orders WHERE user_id >= p_user AND user_id <= p_user ORDER BY user_id, created_at, id LIMIT p_visits + 1) own) <= p_visits THEN
        OPEN candidates FOR WITH own AS MATERIALIZED (
                SELECT * FROM orders WHERE user_id >= p_user AND user_id <= p_user ORDER BY user_id, created_at, id LIMIT p_visits)
            SELECT * FROM own WHERE (changed_xid, id) > (after, after_id) AND changed_xid < horizon ORDER BY changed_xid, id;
    ELSE
        OPEN candidates FOR SELECT * FROM orders
            WHERE (changed_xid, id) > (after, after_id) AND changed_xid < horizon ORDER BY changed_xid, id;
    END IF;
    LOOP
        FETCH candidates INTO o;
        EXIT WHEN NOT FOUND;
        has_more := cardinality(documents) = p_limit OR visited = p_visits;
        EXIT WHEN has_more;
        visited := visited + 1;
        after := o.changed_xid;
        after_id := o.id;
        IF (p_user IS NULL OR o.user_id = p_user) AND (p_event IS NULL OR o.event_id = p_event)
            AND (p_status IS NULL OR o.status = p_status) THEN
            documents := documents || render_document(o);
        END IF;
    END LOOP;
    CLOSE candidates;
    -- All below the horizon was visited. The next page begins there, and passes no entries that died since.
    IF NOT has_more AND horizon > after THEN
        after := horizon;
        after_id := nobody;
    END IF;
    RETURN ARRAY['[' || array_to_string(documents, ',') || ']', server::text, after::text, after_id::text];
END
$$;
