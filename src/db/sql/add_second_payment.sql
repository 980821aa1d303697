SELECT add_second_payment(p_order => $1, p_payment => $2, p_undecided => $3, p_actor => $4, p_data => $5)
