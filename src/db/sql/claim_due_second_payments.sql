SELECT state FROM claim_due_second_payments(p_limit => $1::int4, p_lease_ms => $2::int4) AS state
