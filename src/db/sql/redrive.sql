SELECT orders, messages FROM redrive($1::text[]::uuid[], $2::text[]::uuid[], $3::int4)
