SELECT 1 FROM store_key_set(p_url => $1::text, p_document => $2::text)
