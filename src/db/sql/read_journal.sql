SELECT read_journal(p_id => $1::uuid), CASE WHEN current_setting('transaction_read_only')::boolean THEN 'read-only' END
