SELECT list_deliveries(p_order => $1, p_state => $2, p_limit => $3)
