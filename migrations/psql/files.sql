-- Generated: see steps.sql.
\set files '0001_orders 0002_inherited_orders 0003_order_rules 0005_second_payments 0007_message_order 0009_payment_checks'
\set checksum 3e3cbaaf1c90c407aeda6eab45e10c775a3c15de42c0f6ef61f1f6bb359b8b39
