-- Generated: see steps.sql.
\set files '0001_orders 0002_inherited_orders 0003_order_rules'
\set checksum dae47dd1d8c10c2a4068e8218375f86515a8f0604687c1a3259b2ad60ec66b7a
