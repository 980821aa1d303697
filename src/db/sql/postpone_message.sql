SELECT 1 FROM postpone_message(p_id => $1::uuid, p_error => $2::text, p_delay_ms => $3::int4)
