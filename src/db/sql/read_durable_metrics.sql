SELECT read_durable_metrics(), read_load(), CASE WHEN current_setting('transaction_read_only')::boolean THEN 'read-only' END
