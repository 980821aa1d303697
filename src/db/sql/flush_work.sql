SELECT flush_work(p_counts => $1)
