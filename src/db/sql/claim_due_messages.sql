SELECT id, order_id, kind, payload, attempts,
    (SELECT traceparent FROM orders o WHERE o.id = m.order_id), (SELECT tracestate FROM orders o WHERE o.id = m.order_id)
FROM claim_due_messages(p_limit => $1::int4, p_lease_ms => $2::int4) m
