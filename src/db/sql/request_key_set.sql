SELECT request_key_set(p_url => $1, p_interval_ms => $2, p_first_ms => $3, p_deadline_ms => $4)
