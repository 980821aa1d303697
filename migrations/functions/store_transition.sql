-- Old: stores a transition, for copies of the version before, which do not know the answer {foreign, state}.
--
-- Returns what apply_transition returns. Raises unique_violation when another order has the payment.
-- Locks: as apply_transition.
-- Commit: as apply_transition.
CREATE OR REPLACE FUNCTION store_transition(
    p_id UUID,
    p_version INT,
    p_lease INT,
    p_was_status TEXT,
    p_was_phase TEXT,
    p_status TEXT,
    p_phase TEXT,
    p_hold TEXT,
    p_attempts INT,
    p_payment_id UUID,
    p_payment_status TEXT,
    p_payment_unsure BOOLEAN,
    p_given_up BOOLEAN,
    p_parked BOOLEAN,
    p_due TEXT,
    p_due_ms BIGINT,
    p_leased BOOLEAN,
    p_subtotal INT,
    p_tax INT,
    p_total INT,
    p_seat_codes TEXT[],
    p_seat_prices INT[],
    p_ticket_ids TEXT[],
    p_ticket_codes TEXT[],
    p_event TEXT,
    p_actor TEXT,
    p_data JSONB,
    p_more JSONB,
    p_document BOOLEAN
) RETURNS TEXT[] LANGUAGE plpgsql AS
$$
DECLARE
    answer TEXT[] := apply_transition(
        p_id, p_version, p_lease, p_was_status, p_was_phase, p_status, p_phase, p_hold, p_attempts, p_payment_id,
        p_payment_status, p_payment_unsure, p_given_up, p_parked, p_due, p_due_ms, p_leased, p_subtotal, p_tax, p_total,
        p_seat_codes, p_seat_prices, p_ticket_ids, p_ticket_codes, p_event, p_actor, p_data, p_more, p_document);
BEGIN
    IF answer[1] = 'foreign' THEN
        RAISE unique_violation USING MESSAGE = 'another order has the payment';
    END IF;
    RETURN answer;
END
$$;
