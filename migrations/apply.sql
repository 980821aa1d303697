-- Brings a database to the state of this folder without Rust, as `cargo dev migrate` does:
--
--     psql -X -f migrations/apply.sql "$DATABASE"
--
-- It applies the table files (NNNN_....sql) that are missing, in order, each in one transaction with its record in
-- schema_migrations, and replaces the functions of functions/ as a set, in one transaction, when their checksum differs from
-- the recorded one and that is of a version before (functions/replaces.txt). Run twice at once it takes turns. It ends with one line that tells what was done; or with one that tells
-- what is in the way, and status 3. Run it as the owner of the database, from any folder.
--
-- -v lock_wait=5s: how long another deployment is waited for.
-- -v replace_functions=true: replaces functions of a version that this one does not know, too.
\set ON_ERROR_STOP on
\set ON_ERROR_ROLLBACK off
\set AUTOCOMMIT on
\set QUIET on
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
-- Where the service looks for its tables, whatever the role's own path is.
SET search_path = public, pg_temp;
-- The role may have that of the service's sessions (deploy/pgbouncer/session-settings.sql).
SET statement_timeout = 0;

\if :{?replace_functions}
\else
\set replace_functions false
\endif

-- The same lock as in dev/src/migrations/mod.rs. It is the session's: it ends with psql, however that ends.
\if :{?lock_wait}
\else
\set lock_wait 60s
\endif
SET lock_timeout = :'lock_wait';
DO $$
BEGIN
    PERFORM pg_advisory_lock(122537101324915);
EXCEPTION WHEN lock_not_available THEN
    RAISE EXCEPTION 'another deployment has been at work on this database for %: nothing was changed; run this again when it is over',
        current_setting('lock_timeout');
END $$;
RESET lock_timeout;

-- :files and :checksum.
\ir psql/files.sql
SELECT set_config('migrations.files', :'files', false) AS files \gset
DO $$
DECLARE
    files TEXT[] := string_to_array(current_setting('migrations.files'), ' ');
    other TEXT;
BEGIN
    IF to_regclass('schema_migrations') IS NOT NULL THEN
        SELECT min(version) INTO other FROM schema_migrations
        WHERE version <> ALL (files) AND left(version, 4) IN (SELECT left(file, 4) FROM unnest(files) AS file);
        IF other IS NOT NULL THEN
            RAISE EXCEPTION 'this database was made by a version of the service under development (it has %): drop it and begin with an empty one; for that of `cargo dev up`: `cargo dev reset`', other;
        END IF;
    END IF;
END $$;

SELECT to_regclass('schema_migrations') IS NOT NULL AS has_versions \gset
\set known ''
\if :has_versions
SELECT coalesce(string_agg(version, ' '), '') AS known FROM schema_migrations \gset
\endif

-- Stops at the first error, but comes back here.
\set step ''
\set applied ''
\set left false
\set done false
\set ON_ERROR_STOP off
\ir psql/steps.sql
\set state :LAST_ERROR_SQLSTATE
\set ON_ERROR_STOP on
\if :done
SELECT CASE WHEN :'applied' = '' THEN 'Nothing to apply.' ELSE 'Applied' || :'applied' || '.' END AS told \gset
\echo :told
\if :left
\echo 'The functions were left as they are: this version does not know them, so they are of a newer one, or of another branch. To replace them: -v replace_functions=true'
\endif
\else
ROLLBACK;
SELECT set_config('migrations.told', :'step' || CASE WHEN :'state' IN ('55P03', '40P01')
    THEN ' was not applied: it waited too long for a lock; nothing of it was changed; run this again'
    ELSE ' was not applied, for the reason above; nothing of it was changed' END, false) AS told \gset
DO $$ BEGIN RAISE EXCEPTION '%', current_setting('migrations.told'); END $$;
\endif
