SELECT is_of_order, wait_ms, has_begun
FROM pause_event_sink(p_sink => $1, p_reason => $2, p_wait_ms => $3, p_order => $4)
