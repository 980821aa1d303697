-- Deletes an outbox message that was delivered.
--
-- Returns nothing; a message that is not there is no error.
-- Locks: the message.
-- Commit: may be asynchronous, and is. Losing it means one more delivery, which the message's id (its idempotency key) makes
-- harmless.
CREATE OR REPLACE FUNCTION delete_message(p_id UUID) RETURNS VOID LANGUAGE plpgsql AS
$$
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    DELETE FROM outbox WHERE id = p_id AND dead_at IS NULL;
    IF FOUND THEN
        INSERT INTO order_changes (outbox) VALUES (-1);
    END IF;
END
$$;
