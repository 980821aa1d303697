SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE pid = pg_backend_pid() AND backend_start < clock_timestamp() - interval '100 milliseconds'
