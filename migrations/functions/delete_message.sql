-- Deletes an outbox message that was delivered; the next one of its order is due at once.
--
-- Returns nothing; a message that is not there is no error.
-- Locks: the message, then the next one of its order.
-- Commit: may be asynchronous, and is. Losing it means one more delivery, which the message's id (its idempotency key) makes
-- harmless.
CREATE OR REPLACE FUNCTION delete_message(p_id UUID) RETURNS VOID LANGUAGE plpgsql AS
$$
DECLARE
    of_order UUID;
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    DELETE FROM outbox WHERE id = p_id AND dead_at IS NULL RETURNING order_id INTO of_order;
    IF FOUND THEN
        PERFORM make_next_message_due(of_order);
        INSERT INTO order_changes (outbox) VALUES (-1);
    END IF;
END
$$;
