-- Reads everything that /metrics shows of all instances, and makes it durable as read_durable_metrics does.
--
-- Returns what read_durable_metrics and read_load return.
-- Locks nothing.
-- Commit: as read_durable_metrics.
CREATE OR REPLACE FUNCTION read_all_metrics() RETURNS TEXT[] LANGUAGE plpgsql AS
$$
BEGIN
    RETURN ARRAY[read_durable_metrics(), read_load()];
END
$$;
