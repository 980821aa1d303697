-- Generated: see steps.sql.
\set files '0001_orders 0002_inherited_orders 0003_order_rules 0005_second_payments 0007_message_order'
\set checksum b71f97d4e24885904855c9344763f67344c9b5a24242f3dad63d71f12b7f7ad7
