-- What keeps the queues and the counters fast while an old snapshot is open (a dump, a report, a standby's feedback). Such a
-- snapshot keeps every row version and index entry that died since. So nothing here is updated in place: rows are appended, read
-- from a low-water mark on, and deleted; what died lies below the mark and is not visited.
SET LOCAL lock_timeout = '2s';

-- What transitions add to order_counts and failure_counts. scan_queues folds it into them once a second.
CREATE TABLE order_changes (
    at           TIMESTAMP NOT NULL DEFAULT timezone('utc', clock_timestamp()),
    was_status   TEXT, -- NULL in a new order
    status       TEXT, -- NULL where no order changed
    was_phase    TEXT,
    phase        TEXT,
    tickets      INT  NOT NULL DEFAULT 0,
    outbox       INT  NOT NULL DEFAULT 0,
    dead_letters INT  NOT NULL DEFAULT 0,
    failure_code TEXT
);
CREATE INDEX order_changes_at ON order_changes (at);

-- What each of them adds to which count. DELETE works on it.
CREATE VIEW order_change_counts AS
SELECT c.ctid AS location, c.at, c.failure_code, c.tickets, c.outbox, c.dead_letters,
       (c.was_status IS NULL AND c.status IS NOT NULL)::int AS created,
       (c.status IS NOT DISTINCT FROM 'PENDING')::int - (c.was_status IS NOT DISTINCT FROM 'PENDING')::int AS pending,
       (c.status IS NOT DISTINCT FROM 'CONFIRMED')::int - (c.was_status IS NOT DISTINCT FROM 'CONFIRMED')::int AS confirmed,
       (c.status IS NOT DISTINCT FROM 'CANCELLED')::int - (c.was_status IS NOT DISTINCT FROM 'CANCELLED')::int AS cancelled,
       (c.status IS NOT DISTINCT FROM 'FAILED')::int - (c.was_status IS NOT DISTINCT FROM 'FAILED')::int AS failed,
       (c.status IS NOT DISTINCT FROM 'REFUNDED')::int - (c.was_status IS NOT DISTINCT FROM 'REFUNDED')::int AS refunded,
       (c.phase IS NOT DISTINCT FROM 'reserving')::int - (c.was_phase IS NOT DISTINCT FROM 'reserving')::int AS reserving,
       (c.phase IS NOT DISTINCT FROM 'charging')::int - (c.was_phase IS NOT DISTINCT FROM 'charging')::int AS charging,
       (c.phase IS NOT DISTINCT FROM 'awaiting_payment')::int - (c.was_phase IS NOT DISTINCT FROM 'awaiting_payment')::int AS awaiting_payment,
       (c.phase IS NOT DISTINCT FROM 'allocating')::int - (c.was_phase IS NOT DISTINCT FROM 'allocating')::int AS allocating,
       (c.phase IS NOT DISTINCT FROM 'refunding')::int - (c.was_phase IS NOT DISTINCT FROM 'refunding')::int AS refunding,
       (c.phase IS NOT DISTINCT FROM 'releasing')::int - (c.was_phase IS NOT DISTINCT FROM 'releasing')::int AS releasing
FROM order_changes c;

-- What the instances flush. Merged into one row once a second, and folded into work_counts once a minute.
CREATE TABLE work_changes (
    at     TIMESTAMP NOT NULL DEFAULT timezone('utc', clock_timestamp()),
    counts JSONB     NOT NULL -- [{"name", "label", "value"}, ...]
);
CREATE INDEX work_changes_at ON work_changes (at);

-- The flushes of the last minutes, so that one that is repeated, because its outcome is not known, is not counted twice.
CREATE TABLE work_flushes (
    id UUID      PRIMARY KEY,
    at TIMESTAMP NOT NULL
);
CREATE INDEX work_flushes_at ON work_flushes (at);

-- The latest scan of the queues: the row with the highest id. Each scan inserts a row and deletes the one before. The table
-- heartbeat, whose row was updated, is not used any more.
CREATE TABLE queue_scans (
    id            BIGINT    PRIMARY KEY,
    scanned_at    TIMESTAMP NOT NULL,
    working_since TIMESTAMP NOT NULL, -- since when some instance has been at work without a pause
    -- Low-water marks: there is nothing before them.
    orders_from   TIMESTAMP NOT NULL, -- due_at and watch_at of orders
    refunds_from  TIMESTAMP NOT NULL, -- due_at of payment_refunds
    messages_from TIMESTAMP NOT NULL, -- due_at of the outbox
    waiting_from  TIMESTAMP NOT NULL, -- created_at of the outbox
    counts_from   TIMESTAMP NOT NULL, -- at of order_changes and work_changes
    -- Writing transactions whose number is older than settled_at have ended; those whose number is older than writer_at have when
    -- `writer` and all before it have ended.
    settled_at    TIMESTAMP NOT NULL,
    writer        xid8      NOT NULL,
    writer_at     TIMESTAMP NOT NULL,
    -- The last scan that began at the beginning of the queues, and how many index entries it visited.
    full_at       TIMESTAMP NOT NULL,
    full_entries  BIGINT    NOT NULL,
    folded_at     TIMESTAMP NOT NULL, -- when work_changes were last folded into work_counts
    has_orders    BOOLEAN   NOT NULL, -- what was due: orders or second payments,
    has_messages  BOOLEAN   NOT NULL  -- messages
);
INSERT INTO queue_scans (id, scanned_at, working_since, orders_from, refunds_from, messages_from, waiting_from, counts_from, settled_at, writer, writer_at,
                         full_at, full_entries, folded_at, has_orders, has_messages)
SELECT 1, '-infinity', coalesce((SELECT started_at FROM heartbeat WHERE seen_at > timezone('utc', now()) - interval '1 minute'),
                             timezone('utc', now())),
       '-infinity', '-infinity', '-infinity', '-infinity', '-infinity', '-infinity', '0', '-infinity', '-infinity', 0, '-infinity', false, false;

-- Transactions that wrote a due time in the past, below the marks: by hand, or when single rows were restored. A row here makes the
-- next scan a full one. No function does that, so this is nearly always empty. Triggers and not indexes: they are made at once,
-- however many orders there are, and an index would keep all writers out until it has read the whole table.
CREATE TABLE queue_resets (xid xid8 PRIMARY KEY DEFAULT pg_current_xact_id());

-- It stands here and not in functions/, because triggers need it.
CREATE FUNCTION reset_marks() RETURNS TRIGGER LANGUAGE plpgsql AS
$$
BEGIN
    -- One row a transaction. The row of another one may be deleted before this one's commit.
    INSERT INTO queue_resets DEFAULT VALUES ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;

-- Functions write clock_timestamp() and later, or leave a due time as it was.
CREATE TRIGGER orders_inserted_in_past AFTER INSERT ON orders FOR EACH ROW
    WHEN (least(NEW.due_at, NEW.watch_at) < timezone('utc', statement_timestamp())) EXECUTE FUNCTION reset_marks();
CREATE TRIGGER orders_due_in_past AFTER UPDATE OF due_at, watch_at ON orders FOR EACH ROW
    WHEN (least(NEW.due_at, NEW.watch_at) < timezone('utc', statement_timestamp())
          AND least(NEW.due_at, NEW.watch_at) IS DISTINCT FROM least(OLD.due_at, OLD.watch_at)) EXECUTE FUNCTION reset_marks();
CREATE TRIGGER payment_refunds_inserted_in_past AFTER INSERT ON payment_refunds FOR EACH ROW
    WHEN (NEW.due_at < timezone('utc', statement_timestamp())) EXECUTE FUNCTION reset_marks();
CREATE TRIGGER payment_refunds_due_in_past AFTER UPDATE OF due_at ON payment_refunds FOR EACH ROW
    WHEN (NEW.due_at < timezone('utc', statement_timestamp()) AND NEW.due_at IS DISTINCT FROM OLD.due_at) EXECUTE FUNCTION reset_marks();
CREATE TRIGGER outbox_inserted_in_past AFTER INSERT ON outbox FOR EACH ROW
    WHEN (NEW.dead_at IS NULL AND least(NEW.due_at, NEW.created_at) < timezone('utc', statement_timestamp())) EXECUTE FUNCTION reset_marks();
-- A dead letter that is sent again waits since long ago.
CREATE TRIGGER outbox_due_in_past AFTER UPDATE OF due_at, dead_at ON outbox FOR EACH ROW
    WHEN (NEW.dead_at IS NULL AND (OLD.dead_at IS NOT NULL OR NEW.due_at < timezone('utc', statement_timestamp()) AND NEW.due_at <> OLD.due_at))
    EXECUTE FUNCTION reset_marks();

INSERT INTO schema_migrations (version) VALUES ('0008_queue_scans');
