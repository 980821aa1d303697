-- Finds the oldest transaction that may still write to the queues or count something: of those that have a number, the oldest that
-- has locked one of these tables for more than reading. Not the oldest of all: a report that has made a temporary table, or any
-- transaction of another database, is none of them.
--
-- Returns its number; that of the caller's transaction when there is no older one.
-- Locks nothing. Commit: none is needed. It gives the transaction a number, as a write does.
CREATE OR REPLACE FUNCTION find_oldest_writer() RETURNS xid8 LANGUAGE plpgsql VOLATILE AS
$$
DECLARE
    own BIGINT := pg_current_xact_id()::text::bigint;
BEGIN
    RETURN (
        -- In one look, so that a transaction is seen with both of its locks.
        WITH locks AS MATERIALIZED (SELECT * FROM pg_locks)
        -- An age is counted from the caller's number.
        SELECT own - greatest(0, max(age(numbered.transactionid)))
        FROM locks writing JOIN locks numbered ON numbered.virtualtransaction = writing.virtualtransaction
        WHERE writing.locktype = 'relation' AND writing.mode <> 'AccessShareLock'
          AND writing.database = (SELECT oid FROM pg_database WHERE datname = current_database())
          AND writing.relation IN ('orders'::regclass, 'payment_refunds'::regclass, 'outbox'::regclass, 'event_deliveries'::regclass,
                                   'order_changes'::regclass, 'work_changes'::regclass, 'work_flushes'::regclass)
          AND numbered.locktype = 'transactionid' AND numbered.mode = 'ExclusiveLock'
    )::text::xid8;
END
$$;
