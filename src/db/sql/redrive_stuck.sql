SELECT orders, messages FROM redrive_stuck(p_orders => $1::text[]::uuid[], p_messages => $2::text[]::uuid[], p_limit => $3::int4)
