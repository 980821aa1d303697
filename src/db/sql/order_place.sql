SELECT outcome, taken, state, document
FROM order_place($1::uuid, $2::text, $3::text, $4::int4, $5::int4, $6::int4[], $7::text, $8::int4, $9::int4, $10::int4)
