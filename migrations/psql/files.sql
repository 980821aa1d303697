-- Generated: see steps.sql.
\set files '0001_orders 0002_inherited_orders 0003_order_rules 0005_second_payments 0007_message_order 0008_queue_scans'
\set checksum 444809bf71d39a9d594ad60bb8002e6f504827ffc835a38ab867296a0137a0b7
