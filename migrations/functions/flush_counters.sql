-- Flushes the counters of an instance as flush_work does. A flush whose outcome is not known may be repeated under the same id within
-- two minutes: it is counted once.
--
-- Returns what flush_work returns.
-- Locks: the flush, so that it waits for an earlier attempt of the same one.
-- Commit: as flush_work.
CREATE OR REPLACE FUNCTION flush_counters(p_flush UUID, p_counts JSONB) RETURNS TEXT[] LANGUAGE plpgsql AS
$$
BEGIN
    INSERT INTO work_flushes (id, at) VALUES (p_flush, timezone('utc', clock_timestamp())) ON CONFLICT DO NOTHING;
    RETURN flush_work(CASE WHEN FOUND THEN p_counts ELSE '[]' END);
END
$$;
