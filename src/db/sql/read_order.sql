SELECT read_order(p_id => $1)
