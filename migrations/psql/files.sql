-- Generated: see steps.sql.
\set files '0001_orders 0002_inherited_orders 0003_order_rules 0005_second_payments 0007_message_order 0009_payment_checks'
\set checksum fcac68a883c460290525067e71edc3474e0661a6280aa06e7e1e804d3ccb98e6
