SELECT state, document FROM order_load($1::uuid)
