SELECT 1 FROM delete_message(p_id => $1::uuid)
