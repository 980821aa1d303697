SELECT outcome, state, document FROM order_apply($1::uuid, $2::int4, $3::jsonb, $4::boolean)
