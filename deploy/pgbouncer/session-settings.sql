-- The settings of the service's sessions, for a pooler that does not hand on start-up options (PgBouncer). Run it once, as a
-- superuser, with the service's own role in the place of appuser; sessions that are open keep what they have.
--
-- They are those of src/config/session_options.txt, one a line; tests/api/pgbouncer.rs holds the two together.
-- The migrations set what they need themselves, so the same role may run them. Other tools should have a role of their own.
ALTER ROLE appuser SET timezone = 'UTC';
ALTER ROLE appuser SET search_path = public, pg_temp;
ALTER ROLE appuser SET statement_timeout = '3s';
ALTER ROLE appuser SET lock_timeout = '250ms';
ALTER ROLE appuser SET jit = off;
ALTER ROLE appuser SET plan_cache_mode = force_generic_plan;
ALTER ROLE appuser SET enable_seqscan = off;
ALTER ROLE appuser SET enable_bitmapscan = off;
ALTER ROLE appuser SET idle_in_transaction_session_timeout = '5s';
