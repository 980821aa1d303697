SELECT 1 FROM remember_payment(p_order => $1::uuid, p_payment => $2::uuid, p_outcome => $3::text)
