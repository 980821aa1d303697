SELECT flush_counters(p_flush => $1, p_counts => $2)
