SELECT list_events(p_server => $1, p_xid => $2, p_order => $3, p_sequence => $4, p_since => $5, p_limit => $6, p_source => $7)
