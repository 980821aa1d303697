-- Flushes the counters of an instance ([{"name", "label", "value"}, ...]), and scans the queues if nobody has within the last second.
--
-- Returns what the scan found due, a list of 'orders', 'messages' and 'events'; empty when nothing is due, or when it was not this call that
-- scanned: who scanned sweeps.
-- Locks: nothing that it waits for: see scan_queues.
-- Commit: durable. What an instance has flushed it forgets.
CREATE OR REPLACE FUNCTION flush_work(p_counts JSONB) RETURNS TEXT[] LANGUAGE plpgsql AS
$$
DECLARE
    at TIMESTAMP := timezone('utc', clock_timestamp());
    scan queue_scans;
BEGIN
    -- Without those that could not be folded.
    INSERT INTO work_changes (counts)
    SELECT jsonb_agg(c) FROM jsonb_to_recordset(p_counts) AS c (name TEXT, label TEXT, value DOUBLE PRECISION)
    WHERE c.name IS NOT NULL AND c.label IS NOT NULL AND c.value IS NOT NULL HAVING count(*) > 0;
    scan := scan_queues(at);
    IF scan.id IS NOT NULL THEN
        PERFORM mark_load(scan.scanned_at);
    END IF;
    RETURN array_remove(ARRAY[CASE WHEN scan.has_orders THEN 'orders' END, CASE WHEN scan.has_messages THEN 'messages' END,
                              CASE WHEN scan.has_events THEN 'events' END], NULL);
END
$$;
