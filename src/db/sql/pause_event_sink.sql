SELECT pause_event_sink(p_sink => $1, p_reason => $2, p_wait_ms => $3)
