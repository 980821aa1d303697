SELECT load_order(p_id => $1)
