SELECT find_order(
    p_key => $1,
    p_hash => $2,
    p_user => $3,
    p_event => $4,
    p_seats => $5)
