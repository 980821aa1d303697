-- Finds the order that has claimed a seat.
--
-- Returns the order's id; NULL when no order has claimed the seat.
-- Locks nothing. Commit: none is needed, it writes nothing.
--
-- VOLATILE and a function of its own, so that each seat is one index look-up: PostgreSQL keeps a plan for as long as a connection
-- lives, and one made while the table had a few rows would read all claims of the event.
CREATE OR REPLACE FUNCTION find_seat_holder(p_event INT, p_seat INT) RETURNS UUID LANGUAGE plpgsql VOLATILE AS
$$
BEGIN
    RETURN (SELECT c.order_id FROM seat_claims c WHERE c.event_id = p_event AND c.seat_id = p_seat);
END
$$;
