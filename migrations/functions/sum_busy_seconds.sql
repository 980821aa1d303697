-- Sums the CPU seconds of all instances since the beginning: those that are folded, and those that are not yet (see scan_queues).
--
-- Returns the sum.
-- Locks nothing. Commit: none is needed, it writes nothing.
CREATE OR REPLACE FUNCTION sum_busy_seconds() RETURNS DOUBLE PRECISION LANGUAGE plpgsql STABLE AS
$$
BEGIN
    RETURN coalesce((SELECT sum(value) FROM work_counts WHERE name = 'busy_seconds'), 0)
        + coalesce((
            SELECT sum(c.value) FROM work_changes w, jsonb_to_recordset(w.counts) AS c (name TEXT, value DOUBLE PRECISION)
            WHERE c.name = 'busy_seconds' AND w.at >= (SELECT counts_from FROM queue_scans ORDER BY id DESC LIMIT 1)), 0);
END
$$;
