SELECT add_payment_check(p_order => $1, p_payment => $2, p_limit => $3, p_wait_ms => $4)
