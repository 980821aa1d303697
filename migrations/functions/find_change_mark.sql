-- Finds where the changes since a time begin: a transaction number with which, or a higher one, everything that was committed after
-- that time has changed. Called by list_changed_orders, with its snapshot's oldest running transaction.
--
-- Returns the number: of the newest mark that is not after the time; 0, the beginning, for a time before all marks; p_horizon for a time
-- in the future. Where the clock was set back and a time has come twice, the mark is from before the first one.
-- Locks nothing. Commit: none is needed, it writes nothing.
CREATE OR REPLACE FUNCTION find_change_mark(p_since TIMESTAMP, p_horizon XID8) RETURNS XID8 LANGUAGE plpgsql STABLE AS
$$
DECLARE
    later BIGINT := (SELECT min(id) FROM change_marks WHERE at > p_since);
BEGIN
    IF later IS NULL AND p_since >= timezone('utc', clock_timestamp()) THEN
        RETURN p_horizon;
    END IF;
    RETURN coalesce((SELECT xid FROM change_marks WHERE later IS NULL OR id < later ORDER BY id DESC LIMIT 1), '0');
END
$$;
