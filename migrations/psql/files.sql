-- Generated: see steps.sql.
\set files '0001_orders 0002_inherited_orders 0003_order_rules 0008_queue_scans'
\set checksum a397d6b322ae7a33d3e447fec42c4dcf696331898ad75be760716973c419d9fa
