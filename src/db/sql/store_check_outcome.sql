SELECT store_check_outcome(p_id => $1, p_attempts => $2, p_wait_ms => $3, p_seen => $4, p_unknown => $5, p_parked => $6, p_reason => $7)
