-- Generated: see steps.sql.
\set files '0001_orders 0002_inherited_orders 0003_order_rules 0005_second_payments 0007_message_order'
\set checksum 36c91c94ca145267205d1b188d70a249ac3ef00e4bc3ca16af1d7226df8d81a8
