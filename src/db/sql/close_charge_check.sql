SELECT 1 FROM close_charge_check(p_order => $1::uuid)
