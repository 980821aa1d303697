SELECT m.id, m.order_id, m.kind, m.payload, m.attempts, o.traceparent, o.tracestate FROM claim_due_messages(p_limit => $1::int4, p_lease_ms => $2::int4) m
LEFT JOIN LATERAL (SELECT traceparent, tracestate FROM orders WHERE orders.id = m.order_id OFFSET 0) o ON true
