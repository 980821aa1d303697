SELECT insert_order(
    p_id => $1,
    p_key => $2,
    p_hash => $3,
    p_user => $4,
    p_event => $5,
    p_seats => $6,
    p_currency => $7,
    p_ttl_seconds => $8,
    p_hold_seconds => $9,
    p_lease_ms => $10,
    p_trace => $11,
    p_sinks => $12)
