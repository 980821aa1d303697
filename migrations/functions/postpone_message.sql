-- Postpones an outbox message that was not delivered: it is due again after p_delay_ms; when that is NULL it becomes a dead
-- letter, which is written to its order's journal, and the next one of its order is due at once.
--
-- Returns nothing; a message that is not there is no error.
-- Locks: the message; for a dead letter then its order, and the next message of the order.
-- Commit: durable. A dead letter must not be lost.
CREATE OR REPLACE FUNCTION postpone_message(p_id UUID, p_error TEXT, p_delay_ms INT) RETURNS VOID LANGUAGE plpgsql AS
$$
DECLARE
    at TIMESTAMP := timezone('utc', clock_timestamp());
    m outbox;
    seq INT;
BEGIN
    UPDATE outbox SET
        attempts = greatest(attempts, 1),
        last_error = p_error,
        due_at = at + coalesce(p_delay_ms, 0) * interval '1 millisecond',
        dead_at = CASE WHEN p_delay_ms IS NULL THEN at END
    WHERE id = p_id AND dead_at IS NULL RETURNING * INTO m;
    IF FOUND AND p_delay_ms IS NULL THEN
        UPDATE orders SET version = version + 1 WHERE id = m.order_id RETURNING version INTO seq;
        INSERT INTO order_events (order_id, seq, type, actor, data)
        VALUES (m.order_id, seq, 'message_dead', 'sweep',
                jsonb_build_object('message_id', m.id, 'kind', m.kind, 'attempts', m.attempts, 'reason', p_error));
        PERFORM make_next_message_due(m.order_id);
        INSERT INTO order_changes (outbox, dead_letters) VALUES (-1, 1);
    END IF;
END
$$;
