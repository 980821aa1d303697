SELECT read_key_set(p_url => $1)
