-- Lists events of all orders in the order in which they were committed, those of an order in theirs. Whoever goes on from page to page
-- misses none, also none that is committed late: only entries are listed whose transaction is older than the oldest running one. A
-- transaction that stays open holds the list back (order_service_updated_since_delay_seconds).
--
-- Begins after the event with the number p_sequence of the order p_order, which the transaction p_xid made; or, where p_xid is NULL, at
-- p_since (microseconds since 1970): with what was committed after that time, and maybe some from a little before; NULL: with the first.
--
-- p_server: of which server the transaction's number is: see list_changed_orders. p_source: see render_event.
-- Returns {events, server, xid, order, sequence}: a JSON array, and where the next page begins, which there always is; {other_server} where
-- p_server is another one. Raises read_only_sql_transaction on a read-only server.
-- Locks nothing.
-- Commit: waits for the local log, and with it for all that was committed before: what was told must not be lost in a crash, because
-- numbers that were lost are given again.
CREATE OR REPLACE FUNCTION list_events(p_server BIGINT, p_xid BIGINT, p_order UUID, p_sequence INT, p_since BIGINT, p_limit INT, p_source TEXT)
RETURNS TEXT[] LANGUAGE plpgsql STABLE AS
$$
DECLARE
    -- STABLE: this is the snapshot in which the entries are read, too.
    horizon CONSTANT XID8 := pg_snapshot_xmin(pg_current_snapshot());
    nobody CONSTANT UUID := '00000000-0000-0000-0000-000000000000';
    server BIGINT;
    after XID8 := p_xid::text::xid8;
    after_order UUID := coalesce(p_order, nobody);
    after_sequence INT := coalesce(p_sequence, 0);
    e RECORD;
    o orders;
    has_more BOOLEAN := false;
    events TEXT[] := '{}';
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
        after := CASE WHEN p_since IS NULL THEN '0' ELSE find_change_mark(timestamp 'epoch' + p_since * interval '1 microsecond', horizon) END;
    END IF;

    <<entries>>
    FOR e IN SELECT j AS entry, j.xid, j.order_id, j.sequence, jsonb_array_length(j.events) AS n FROM order_events j
        WHERE (j.xid, j.order_id) >= (after, after_order) AND j.xid < horizon ORDER BY j.xid, j.order_id, j.seq
    LOOP
        SELECT * INTO o FROM orders WHERE id = e.order_id;
        FOR i IN 0 .. e.n - 1 LOOP
            CONTINUE WHEN (e.xid, e.order_id, e.sequence + i) <= (after, after_order, after_sequence);
            has_more := cardinality(events) = p_limit;
            EXIT entries WHEN has_more;
            events := events || render_event(e.entry, o, i, p_source);
            after := e.xid;
            after_order := e.order_id;
            after_sequence := e.sequence + i;
        END LOOP;
    END LOOP;
    -- All below the horizon was listed. The next page begins there, and passes no entries that died since.
    IF NOT has_more AND horizon > after THEN
        after := horizon;
        after_order := nobody;
        after_sequence := 0;
    END IF;
    RETURN ARRAY['[' || array_to_string(events, ',') || ']', server::text, after::text, after_order::text, after_sequence::text];
END
$$;
