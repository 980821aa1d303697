SELECT find_payment_check(p_order => $1, p_payment => $2), CASE WHEN current_setting('transaction_read_only')::boolean THEN 'read-only' END
