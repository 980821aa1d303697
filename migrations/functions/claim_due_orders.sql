-- Claims due orders for the sweep, the longest due first: each is leased to the caller, and its attempts are counted up, because
-- an earlier holder of the lease may have begun its action. A quarter of p_limit goes to orders at rest whose payment is watched,
-- however many others are due. When a lease ended without an outcome, what its holder may have sent to Seating counts as in flight.
--
-- The queue is read from its low-water mark on: see scan_queues.
--
-- p_leases has milliseconds by phase, and 'in_flight'.
-- Returns the state of each order; no row when none is due.
-- Locks: the orders. SKIP LOCKED: rows that another transaction has locked are left out.
-- Commit: durable. A lost claim would give the same lease number (the fencing token) to a second holder.
CREATE OR REPLACE FUNCTION claim_due_orders(p_limit INT, p_leases JSONB) RETURNS SETOF TEXT LANGUAGE plpgsql AS
$$
DECLARE
    at TIMESTAMP := timezone('utc', clock_timestamp());
    mark TIMESTAMP := (find_marks()).orders_from;
    due UUID[];
BEGIN
    SELECT array_agg(id) INTO due FROM (
        SELECT id FROM (SELECT id FROM orders WHERE watch_at <= at AND watch_at >= mark AND (p_leases->>'done')::int > 0
                        ORDER BY watch_at LIMIT greatest(1, p_limit / 4) FOR UPDATE SKIP LOCKED) watched
        UNION ALL
        SELECT id FROM (SELECT id FROM orders WHERE due_at <= at AND due_at >= mark
                        ORDER BY due_at LIMIT p_limit FOR UPDATE SKIP LOCKED) unfinished
        LIMIT p_limit) x;
    IF due IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY UPDATE orders SET
        attempts = orders.attempts + 1,
        lease = orders.lease + 1,
        leased = true,
        -- Twenty attempts without a stored outcome are a fault of the service or of the database.
        parked_at = CASE WHEN orders.attempts >= 20 THEN coalesce(orders.parked_at, at) ELSE orders.parked_at END,
        parked_reason = CASE WHEN orders.attempts >= 20 THEN coalesce(orders.parked_reason, 'no outcome was stored') ELSE orders.parked_reason END,
        in_flight_until = CASE WHEN orders.leased AND orders.phase IN ('reserving', 'allocating', 'releasing')
            THEN greatest(orders.in_flight_until, at + coalesce((p_leases->>'in_flight')::int, 0) * interval '1 millisecond')
            ELSE orders.in_flight_until END,
        due_at = CASE WHEN orders.phase <> 'done' THEN at + (p_leases->>orders.phase)::int * interval '1 millisecond' END,
        watch_at = CASE WHEN orders.phase = 'done' THEN at + (p_leases->>orders.phase)::int * interval '1 millisecond' END
    WHERE orders.id = ANY (due)
    RETURNING render_state(orders);
END
$$;
