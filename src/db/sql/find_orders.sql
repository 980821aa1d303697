SELECT find_orders(
    p_owner => $1,
    p_key => $2,
    p_payment => $3,
    p_ticket => $4,
    p_event => $5,
    p_seat => $6,
    p_before => $7,
    p_before_id => $8,
    p_limit => $9)
