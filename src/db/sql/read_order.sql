SELECT read_order(p_id => $1), current_setting('transaction_read_only') = 'on'
