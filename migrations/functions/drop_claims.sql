-- Deletes the seat claims of an order. Called by apply_transition, which has locked the order.
--
-- Returns how many claims were deleted.
-- Locks: the claims that it deletes.
-- Commit: the caller's.
CREATE OR REPLACE FUNCTION drop_claims(o orders) RETURNS INT LANGUAGE plpgsql AS
$$
DECLARE
    seat INT;
    n INT;
    dropped INT := 0;
BEGIN
    FOREACH seat IN ARRAY o.seats LOOP
        DELETE FROM seat_claims c WHERE c.event_id = o.event_id AND c.seat_id = seat AND c.order_id = o.id;
        GET DIAGNOSTICS n = ROW_COUNT;
        dropped := dropped + n;
    END LOOP;
    RETURN dropped;
END
$$;
