-- Generated: see steps.sql.
\set files '0001_orders 0002_inherited_orders 0003_order_rules 0005_second_payments 0007_message_order'
\set checksum 05e2931428a5a8d885884e2adb91e13b169a455b0d4eaf637105f8463994011f
