SELECT state FROM claim_due_payment_refunds(p_limit => $1::int4, p_lease_ms => $2::int4) AS state
