SELECT list_changed_orders(
    p_user => $1,
    p_event => $2,
    p_status => $3,
    p_since => $4,
    p_server => $5,
    p_xid => $6,
    p_id => $7,
    p_limit => $8,
    p_visits => $9)
