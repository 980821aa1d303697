SELECT state FROM claim_due_orders(p_limit => $1::int4, p_leases => $2::jsonb) AS state
