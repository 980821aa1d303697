SELECT find_payment_check(p_order => $1, p_payment => $2)
