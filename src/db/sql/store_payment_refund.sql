SELECT store_payment_refund(
    p_order => $1,
    p_payment => $2,
    p_attempts => $3,
    p_outcome => $4,
    p_wait_ms => $5,
    p_again_ms => $6,
    p_undecided => $7,
    p_parked => $8,
    p_reason => $9,
    p_actor => $10)
