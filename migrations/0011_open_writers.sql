-- Transactions that write to the queues and stay open, and statements that wait long for a lock: see scan_queues.
SET LOCAL lock_timeout = '2s';

ALTER TABLE queue_scans
    -- A full scan was not finished, and what made it due is still to be looked for.
    ADD COLUMN full_failed BOOLEAN NOT NULL DEFAULT false,
    -- The marks have passed a writing transaction that had not ended: a full scan is due when it has.
    ADD COLUMN has_passed_writer BOOLEAN NOT NULL DEFAULT false;

-- Compared with the time of the write, and not with the statement's beginning: a statement may wait for a lock for hours. Functions
-- write the time of their own beginning, at most three seconds ago (statement_timeout); the marks allow for four.
CREATE OR REPLACE TRIGGER orders_inserted_in_past AFTER INSERT ON orders FOR EACH ROW
    WHEN (least(NEW.due_at, NEW.watch_at) < timezone('utc', clock_timestamp()) - interval '3 seconds') EXECUTE FUNCTION reset_marks();
CREATE OR REPLACE TRIGGER orders_due_in_past AFTER UPDATE OF due_at, watch_at ON orders FOR EACH ROW
    WHEN (least(NEW.due_at, NEW.watch_at) < timezone('utc', clock_timestamp()) - interval '3 seconds'
          AND least(NEW.due_at, NEW.watch_at) IS DISTINCT FROM least(OLD.due_at, OLD.watch_at)) EXECUTE FUNCTION reset_marks();
CREATE OR REPLACE TRIGGER payment_refunds_inserted_in_past AFTER INSERT ON payment_refunds FOR EACH ROW
    WHEN (NEW.due_at < timezone('utc', clock_timestamp()) - interval '3 seconds') EXECUTE FUNCTION reset_marks();
CREATE OR REPLACE TRIGGER payment_refunds_due_in_past AFTER UPDATE OF due_at ON payment_refunds FOR EACH ROW
    WHEN (NEW.due_at < timezone('utc', clock_timestamp()) - interval '3 seconds' AND NEW.due_at IS DISTINCT FROM OLD.due_at) EXECUTE FUNCTION reset_marks();
CREATE OR REPLACE TRIGGER outbox_inserted_in_past AFTER INSERT ON outbox FOR EACH ROW
    WHEN (NEW.dead_at IS NULL AND least(NEW.due_at, NEW.created_at) < timezone('utc', clock_timestamp()) - interval '3 seconds') EXECUTE FUNCTION reset_marks();
-- A dead letter that is sent again waits since long ago.
CREATE OR REPLACE TRIGGER outbox_due_in_past AFTER UPDATE OF due_at, dead_at ON outbox FOR EACH ROW
    WHEN (NEW.dead_at IS NULL AND (OLD.dead_at IS NOT NULL OR NEW.due_at < timezone('utc', clock_timestamp()) - interval '3 seconds' AND NEW.due_at <> OLD.due_at))
    EXECUTE FUNCTION reset_marks();

INSERT INTO schema_migrations (version) VALUES ('0011_open_writers');
