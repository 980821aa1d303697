-- Makes the oldest message of an order due that is neither delivered nor a dead letter: the one before it is out of the way.
--
-- Returns nothing; an order without messages is no error.
-- Locks: the message.
-- Commit: that of its caller.
CREATE OR REPLACE FUNCTION make_next_message_due(p_order UUID) RETURNS VOID LANGUAGE plpgsql AS
$$
DECLARE
    at TIMESTAMP := timezone('utc', clock_timestamp());
BEGIN
    UPDATE outbox SET due_at = at
    WHERE id = (SELECT x.id FROM outbox x WHERE x.order_id = p_order AND x.dead_at IS NULL ORDER BY x.seq, x.id LIMIT 1)
      AND due_at > at;
END
$$;
