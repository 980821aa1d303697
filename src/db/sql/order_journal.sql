SELECT journal FROM order_journal($1::uuid)
