-- Generated: see steps.sql.
\set files '0001_orders 0002_inherited_orders 0003_order_rules 0005_second_payments 0007_message_order'
\set checksum b86ce160f1cb144c7c894efbeba3e1a31f44602395c0b41e99b06b3879376be2
