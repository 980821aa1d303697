SELECT version, document FROM order_read($1::uuid)
