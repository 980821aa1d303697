-- Inserts those seat claims of an order that it does not have. Called by apply_transition, which has locked the order.
--
-- Returns how many claims were inserted; NULL, and nothing is written, when another order has one of the seats. Raises
-- serialization_failure when a seat was claimed concurrently.
-- Locks: the claims, in ascending order of the seats, so that two orders for the same seats wait for each other and do not
-- deadlock.
-- Commit: the caller's.
CREATE OR REPLACE FUNCTION take_claims(o orders) RETURNS INT LANGUAGE plpgsql AS
$$
DECLARE
    ours INT;
BEGIN
    IF EXISTS (SELECT FROM unnest(o.seats) AS s (id) WHERE find_seat_holder(o.event_id, s.id) <> o.id) THEN
        RETURN NULL;
    END IF;
    -- In ascending order, so that two orders for the same seats wait for each other and do not deadlock.
    INSERT INTO seat_claims (event_id, seat_id, order_id)
    SELECT o.event_id, s, o.id FROM unnest(o.seats) s ORDER BY s
    ON CONFLICT DO NOTHING;
    SELECT count(*) INTO ours FROM unnest(o.seats) AS s (id) WHERE find_seat_holder(o.event_id, s.id) = o.id;
    IF ours <> cardinality(o.seats) THEN
        RAISE EXCEPTION 'a seat was claimed meanwhile' USING ERRCODE = 'serialization_failure';
    END IF;
    RETURN ours - o.claimed;
END
$$;
