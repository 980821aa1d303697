SELECT 1 FROM outbox_delivered($1::uuid)
