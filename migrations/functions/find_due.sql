-- Looks whether orders, second payments and messages are due, from the low-water marks on or (p_full) from the beginning, and moves
-- the marks. Called by scan_queues, which says why a mark passes no live entry.
--
-- Returns the scan with what was found.
-- Locks nothing. Commit: none is needed, it writes nothing.
CREATE OR REPLACE FUNCTION find_due(scan queue_scans, p_full BOOLEAN) RETURNS queue_scans LANGUAGE plpgsql AS
$$
DECLARE
    settled TIMESTAMP := scan.settled_at - interval '4 seconds';
    visited BIGINT := count_visited_entries();
    first_order TIMESTAMP;
    first_refund TIMESTAMP;
    first_message TIMESTAMP;
    first_waiting TIMESTAMP;
BEGIN
    IF p_full THEN
        scan.orders_from := '-infinity';
        scan.refunds_from := '-infinity';
        scan.messages_from := '-infinity';
        scan.waiting_from := '-infinity';
    END IF;
    -- min() reads the end of an index, whatever the planner estimates of how many are due.
    first_order := least(
        (SELECT min(due_at) FROM orders WHERE due_at >= scan.orders_from AND due_at <= scan.scanned_at),
        (SELECT min(watch_at) FROM orders WHERE watch_at >= scan.orders_from AND watch_at <= scan.scanned_at));
    first_refund := (SELECT min(due_at) FROM payment_refunds WHERE due_at >= scan.refunds_from AND due_at <= scan.scanned_at);
    first_message := (SELECT min(due_at) FROM outbox
        WHERE dead_at IS NULL AND due_at >= scan.messages_from AND due_at <= scan.scanned_at);
    first_waiting := (SELECT min(created_at) FROM outbox WHERE dead_at IS NULL AND created_at >= scan.waiting_from);
    scan.has_orders := first_order IS NOT NULL OR first_refund IS NOT NULL;
    scan.has_messages := first_message IS NOT NULL;
    visited := count_visited_entries() - visited;

    IF p_full THEN
        scan.full_at := scan.scanned_at;
        scan.full_entries := visited;
        IF visited < 256 THEN
            RETURN scan;
        END IF;
    END IF;
    scan.orders_from := greatest(scan.orders_from, least(first_order, settled));
    scan.refunds_from := greatest(scan.refunds_from, least(first_refund, settled));
    scan.messages_from := greatest(scan.messages_from, least(first_message, settled));
    scan.waiting_from := greatest(scan.waiting_from, least(first_waiting, settled));
    RETURN scan;
END
$$;
