SELECT journal FROM read_journal(p_id => $1::uuid)
