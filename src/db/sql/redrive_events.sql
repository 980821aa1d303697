SELECT redrive_events(p_sink => $1, p_orders => $2::text[]::uuid[], p_limit => $3, p_lease_ms => $4)
