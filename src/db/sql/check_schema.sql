SELECT CASE
    WHEN current_setting('transaction_read_only')::boolean THEN 'read-only'
    WHEN current_setting('statement_timeout') = '0' THEN 'no statement timeout'
    WHEN EXISTS (
        SELECT FROM unnest(ARRAY[
            '0001_orders',
            '0002_inherited_orders',
            '0003_order_rules',
            '0005_second_payments',
            '0007_message_order',
            '0008_queue_scans',
            '0009_payment_checks',
            '0010_payment_leases',
            '0011_open_writers',
            '0012_cheaper_rules',
            '0013_order_lists',
            '0014_authentication',
            '0015_changed_orders',
            '0016_rules_in_steps',
            '0017_cheaper_writes',
            '0018_events',
            '0019_load_marks',
            '0020_event_feed',
            '0021_items_without_key'
        ]) AS needed (version)
        WHERE needed.version NOT IN (SELECT version FROM schema_migrations))
    OR EXISTS (
        SELECT FROM unnest(ARRAY[
            'add_payment_check',
            'add_second_payment',
            'apply_transition',
            'claim_due_events',
            'claim_due_messages',
            'claim_due_orders',
            'claim_due_second_payments',
            'close_charge_check',
            'close_payment_checks',
            'delete_message',
            'find_order',
            'find_orders',
            'find_payment_check',
            'find_second_payment',
            'flush_counters',
            'insert_limited_order',
            'insert_order',
            'list_changed_orders',
            'list_deliveries',
            'list_events',
            'list_orders',
            'list_stuck',
            'load_order',
            'pause_event_sink',
            'postpone_message',
            'read_all_metrics',
            'read_journal_page',
            'read_key_set',
            'read_order',
            'redrive_events',
            'redrive_stuck',
            'remember_payment',
            'replay_events',
            'request_full_scan',
            'request_key_set',
            'store_check_outcome',
            'store_event_deliveries',
            'store_key_set',
            'store_payment_refund'
        ]) AS needed (function)
        -- Not to_regproc: a name that two functions have is none to it.
        WHERE NOT EXISTS (
            SELECT FROM pg_proc
            WHERE proname = needed.function::name AND pronamespace = 'public'::regnamespace))
    THEN 'old schema'
END
