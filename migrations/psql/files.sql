-- Generated: see steps.sql.
\set files '0001_orders 0002_inherited_orders 0003_order_rules 0007_message_order'
\set checksum 7e2200b2cf27a599916dad9fa67dabacbd19918a5bf03ccba4dcc9c90b335a35
