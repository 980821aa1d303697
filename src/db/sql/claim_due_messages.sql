SELECT id, order_id, kind, payload, attempts FROM claim_due_messages(p_limit => $1::int4, p_lease_ms => $2::int4)
