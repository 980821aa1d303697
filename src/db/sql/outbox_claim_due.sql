SELECT id, order_id, kind, payload, attempts FROM outbox_claim_due($1::int4, $2::int4)
