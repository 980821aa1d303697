SELECT load_order($1)
