-- Generated: see steps.sql.
\set files '0001_orders 0002_inherited_orders 0003_order_rules 0005_second_payments 0007_message_order 0009_payment_checks'
\set checksum f10d0a1daf6f88fa40dd25185cd243bbe30c97b1a22c8acf5f75ba3b4686c677
