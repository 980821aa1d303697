-- Looks whether orders, second payments, messages and events are due, from the low-water marks on, and moves the marks. Called by
-- scan_queues, which says why a mark passes no live entry: what is not seen now is not before p_settled.
--
-- Returns the scan with what was found.
-- Locks nothing. Commit: none is needed, it writes nothing.
CREATE OR REPLACE FUNCTION find_due(scan queue_scans, p_settled TIMESTAMP) RETURNS queue_scans LANGUAGE plpgsql AS
$$
DECLARE
    first_order TIMESTAMP;
    first_refund TIMESTAMP;
    first_message TIMESTAMP;
    first_waiting TIMESTAMP;
    first_event TIMESTAMP;
BEGIN
    -- min() reads the end of an index, whatever the planner estimates of how many are due.
    first_order := least(
        (SELECT min(due_at) FROM orders WHERE due_at >= scan.orders_from AND due_at <= scan.scanned_at),
        (SELECT min(watch_at) FROM orders WHERE watch_at >= scan.orders_from AND watch_at <= scan.scanned_at));
    first_refund := (SELECT min(due_at) FROM payment_refunds WHERE due_at >= scan.refunds_from AND due_at <= scan.scanned_at);
    first_message := (SELECT min(due_at) FROM outbox
        WHERE dead_at IS NULL AND due_at >= scan.messages_from AND due_at <= scan.scanned_at);
    first_waiting := (SELECT min(created_at) FROM outbox WHERE dead_at IS NULL AND created_at >= scan.waiting_from);
    -- What waits for a sink that is off or paused holds the mark, and is not due.
    SELECT min(d.due_at), coalesce(bool_or(s.off_at IS NULL AND (s.paused_until > scan.scanned_at) IS NOT TRUE) FILTER (WHERE d.due_at IS NOT NULL), false)
    INTO first_event, scan.has_events
    FROM event_sinks s CROSS JOIN LATERAL (
        SELECT min(due_at) AS due_at FROM event_deliveries
        WHERE sink = s.sink AND due_at >= scan.events_from AND due_at <= scan.scanned_at) d;
    scan.has_orders := first_order IS NOT NULL OR first_refund IS NOT NULL;
    scan.has_messages := first_message IS NOT NULL;
    scan.orders_from := greatest(scan.orders_from, least(first_order, p_settled));
    scan.refunds_from := greatest(scan.refunds_from, least(first_refund, p_settled));
    scan.messages_from := greatest(scan.messages_from, least(first_message, p_settled));
    scan.waiting_from := greatest(scan.waiting_from, least(first_waiting, p_settled));
    scan.events_from := greatest(scan.events_from, least(first_event, p_settled));
    RETURN scan;
END
$$;
