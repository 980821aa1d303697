SELECT order_id::text, lease, attempts, events, traceparent, tracestate FROM claim_due_events(p_sinks => $1, p_limit => $2, p_events => $3, p_lease_ms => $4, p_source => $5)
