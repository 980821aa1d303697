-- Generated: see steps.sql.
\set files '0001_orders 0002_inherited_orders 0003_order_rules 0008_queue_scans'
\set checksum dddeef0891eda0ab441f57956de9e1851a13d77df3b10778ac3e031ef551d708
