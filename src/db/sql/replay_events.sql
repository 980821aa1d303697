SELECT replay_events(p_sink => $1, p_orders => $2::text[]::uuid[], p_server => $3, p_xid => $4, p_order => $5, p_sequence => $6, p_since => $7, p_limit => $8, p_lease_ms => $9)
