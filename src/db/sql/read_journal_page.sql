SELECT read_journal_page(p_id => $1, p_owner => $2, p_after => $3, p_limit => $4)
