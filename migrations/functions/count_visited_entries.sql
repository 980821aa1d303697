-- Counts the entries, dead ones included, that this session has visited in the indexes of the queues. Only differences within a
-- transaction mean something. Always 0 where the server does not track counts (track_counts), without which it has no autovacuum
-- either.
--
-- Locks nothing. Commit: none is needed, it writes nothing.
-- Returns the count.
CREATE OR REPLACE FUNCTION count_visited_entries() RETURNS BIGINT LANGUAGE plpgsql VOLATILE AS
$$
BEGIN
    RETURN pg_stat_get_xact_tuples_returned('orders_due'::regclass) + pg_stat_get_xact_tuples_returned('orders_watch'::regclass)
        + pg_stat_get_xact_tuples_returned('payment_refunds_due'::regclass)
        + pg_stat_get_xact_tuples_returned('outbox_due'::regclass) + pg_stat_get_xact_tuples_returned('outbox_waiting'::regclass)
        + pg_stat_get_xact_tuples_returned('event_deliveries_due'::regclass);
END
$$;
