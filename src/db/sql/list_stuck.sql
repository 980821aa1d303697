SELECT list_stuck(p_limit => $1::int4), CASE WHEN current_setting('transaction_read_only')::boolean THEN 'read-only' END
