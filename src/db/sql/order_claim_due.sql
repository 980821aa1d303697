SELECT state FROM order_claim_due($1::int4, $2::jsonb) AS state
