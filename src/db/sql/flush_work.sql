SELECT flush_work($1)
