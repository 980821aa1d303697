SELECT store_payment_check(p_id => $1, p_attempts => $2, p_wait_ms => $3, p_parked => $4, p_reason => $5)
