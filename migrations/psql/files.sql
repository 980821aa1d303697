-- Generated: see steps.sql.
\set files '0001_orders 0002_inherited_orders 0003_order_rules 0005_second_payments 0007_message_order'
\set checksum 0cbac65432fac353291e4cb5066cc514cf28e3ce8ad4bf881bb21081baa268e6
