SELECT close_payment_checks(p_order => $1, p_payment => $2, p_event => $3, p_actor => $4, p_data => $5)
