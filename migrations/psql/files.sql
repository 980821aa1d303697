-- Generated: see steps.sql.
\set files '0001_orders 0002_inherited_orders 0003_order_rules 0005_second_payments 0007_message_order'
\set checksum c3d20f09abb253d5c104d26f879fc20cc6ec1d44a27dc30404f9d2adacca093d
