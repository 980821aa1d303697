-- The same by failure code.
INSERT INTO failure_counts AS f (shard, code, value)
SELECT 0, failure_code, count(*) FROM bench.placed WHERE failure_code IS NOT NULL GROUP BY failure_code
ON CONFLICT (shard, code) DO UPDATE SET value = f.value + excluded.value
