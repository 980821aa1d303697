-- Confirmed orders of two seats each for event {event}, that leave a few of its {seats} seats free.
CREATE VIEW bench.plan AS
SELECT
    n,
    'bench-event-{event}-' || n AS key,
    'confirmed' AS life,
    timezone('utc', now()) - interval '1 day' + n * interval '1 second' AS created_at,
    NULL::timestamp AS waits_until,
    n::int AS user_id,
    {event} AS event_id,
    ARRAY[2 * n - 1, 2 * n]::int[] AS seats
FROM generate_series(1, greatest(0, ({seats} - {free}) / 2)::bigint) AS n;

CREATE VIEW bench.placed AS SELECT o.* FROM bench.plan p JOIN orders o ON o.idempotency_key = p.key;
