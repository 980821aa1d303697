SELECT find_second_payment(p_order => $1, p_payment => $2)
