SELECT 1 FROM outbox_postpone($1::uuid, $2::text, $3::int4)
