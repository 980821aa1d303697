SELECT list_stuck(p_limit => $1::int4)
