-- Generated: see steps.sql.
\set files '0001_orders 0002_inherited_orders 0003_order_rules 0005_second_payments'
\set checksum c961adb3897c2bf2af0f43eebe6b93709f264b60ff3bd3eb58977a25ea40666e
