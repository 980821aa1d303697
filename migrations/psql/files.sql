-- Generated: see steps.sql.
\set files '0001_orders 0002_inherited_orders 0003_order_rules 0005_second_payments 0007_message_order 0008_queue_scans'
\set checksum 9553b5898b5cb855ada87da3c81b6a4ed3874e67f05f7ff96b21f4a12d12f074
