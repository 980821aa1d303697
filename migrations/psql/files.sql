-- Generated: see steps.sql.
\set files '0001_orders 0002_inherited_orders 0003_order_rules'
\set checksum 3146e7e9b9080d0d8621a201beeb00b86a4494a0a6386a151d5f0007935f2818
