SELECT list_orders(
    p_user => $1,
    p_event => $2,
    p_status => $3,
    p_before => $4,
    p_before_id => $5,
    p_limit => $6,
    p_visits => $7)
