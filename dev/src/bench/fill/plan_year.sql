-- The orders of a year, one a row: {orders} of them, of which {unfinished}, evenly spread, wait for their payment. Their
-- keys are spread as those of clients, which are random UUIDs.
--
-- They sell fifty events at a time, of 51 to 4998 seats, in an order that looks random: a unit of three neighbouring
-- seats goes to an order of two and an order of one, and 24000 units, the seats of fifty events, are shuffled.
CREATE VIEW bench.plan AS
SELECT
    n,
    md5(n::text)::uuid::text AS key,
    CASE WHEN n * {unfinished} / {orders} > (n - 1) * {unfinished} / {orders} THEN 'waiting'
         WHEN dice < 900 THEN 'confirmed'
         WHEN dice < 940 THEN 'expired'
         WHEN dice < 950 THEN 'cancelled'
         WHEN dice < 970 THEN 'unavailable'
         WHEN dice < 980 THEN 'declined'
         ELSE 'refunded' END AS life,
    timezone('utc', now()) - interval '1 year' + (n::float8 / {orders}) * interval '364 days' AS created_at,
    timezone('utc', now()) + interval '30 days' + (n::float8 / {orders}) * interval '1 day' AS waits_until,
    (1 + dice * 997 + n % 997)::int AS user_id,
    (1 + unit / 24000 * 50 + block * 5 + event.nr)::int AS event_id,
    CASE WHEN n % 2 = 0 THEN ARRAY[seat + 1, seat + 2] ELSE ARRAY[seat + 3] END AS seats
FROM (SELECT generate_series(1, {orders}::bigint) AS n) numbers
CROSS JOIN LATERAL (SELECT (n - 1) / 2 AS unit, (hashint8(n) & 2147483647) % 1000 AS dice) a
CROSS JOIN LATERAL (SELECT (unit % 24000 * 7919 % 24000)::int AS place) b
CROSS JOIN LATERAL (SELECT place / 2400 AS block, place % 2400 * 3 AS offset_in_block) c
CROSS JOIN LATERAL (SELECT width_bucket(offset_in_block, ARRAY[51, 201, 702, 2202]) AS nr) event
CROSS JOIN LATERAL (SELECT offset_in_block - (ARRAY[0, 51, 201, 702, 2202])[nr + 1] AS seat) d;

CREATE VIEW bench.placed AS SELECT * FROM orders;
