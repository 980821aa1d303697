-- Transactions that write to the queues and stay open: see scan_queues.
SET LOCAL lock_timeout = '2s';

ALTER TABLE queue_scans
    -- A full scan was not finished, and what made it due is still to be looked for.
    ADD COLUMN full_failed BOOLEAN NOT NULL DEFAULT false,
    -- The marks have passed a writing transaction that had not ended: a full scan is due when it has.
    ADD COLUMN has_passed_writer BOOLEAN NOT NULL DEFAULT false;

INSERT INTO schema_migrations (version) VALUES ('0011_open_writers');
