SELECT CASE
    WHEN current_setting('transaction_read_only')::boolean THEN 'read-only'
    WHEN EXISTS (
        SELECT FROM unnest(ARRAY[
            '0001_orders',
            '0002_inherited_orders',
            '0003_order_rules',
            '0008_queue_scans'
        ]) AS needed (version)
        WHERE needed.version NOT IN (SELECT version FROM schema_migrations))
    OR EXISTS (
        SELECT FROM unnest(ARRAY[
            'claim_due_messages',
            'claim_due_orders',
            'delete_message',
            'find_order',
            'flush_work',
            'list_stuck',
            'load_order',
            'place_order',
            'postpone_message',
            'read_journal',
            'read_metrics',
            'read_order',
            'redrive_stuck',
            'store_transition'
        ]) AS needed (function)
        WHERE to_regproc(needed.function) IS NULL)
    THEN 'old schema'
END
