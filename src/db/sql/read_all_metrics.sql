SELECT read_all_metrics(), CASE WHEN current_setting('transaction_read_only')::boolean THEN 'read-only' END
