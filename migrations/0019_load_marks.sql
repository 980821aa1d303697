-- How much the service had computed every ten seconds of the last two minutes, for its CPU load. Rows are appended and deleted, and none
-- is updated, so that an old snapshot makes nothing slow.
SET LOCAL lock_timeout = '2s';

CREATE TABLE load_marks (
    at           TIMESTAMP        PRIMARY KEY,
    busy_seconds DOUBLE PRECISION NOT NULL -- of all instances, since the beginning
);

INSERT INTO schema_migrations (version) VALUES ('0019_load_marks');
