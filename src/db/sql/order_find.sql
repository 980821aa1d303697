SELECT outcome, state, document FROM order_find($1::text, $2::text, $3::int4, $4::int4, $5::int4[])
