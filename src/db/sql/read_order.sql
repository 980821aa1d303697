SELECT read_order($1)
