-- The summaries, as the transitions would have kept them. A count is the sum over the shards, so one will do.
UPDATE order_counts c SET
    created          = c.created + s.created,
    tickets          = c.tickets + s.tickets,
    pending          = c.pending + s.pending,
    confirmed        = c.confirmed + s.confirmed,
    cancelled        = c.cancelled + s.cancelled,
    failed           = c.failed + s.failed,
    refunded         = c.refunded + s.refunded,
    awaiting_payment = c.awaiting_payment + s.pending
FROM (
    SELECT count(*) AS created,
           coalesce(sum(cardinality(seats)) FILTER (WHERE status IN ('CONFIRMED', 'REFUNDED')), 0) AS tickets,
           count(*) FILTER (WHERE status = 'PENDING') AS pending,
           count(*) FILTER (WHERE status = 'CONFIRMED') AS confirmed,
           count(*) FILTER (WHERE status = 'CANCELLED') AS cancelled,
           count(*) FILTER (WHERE status = 'FAILED') AS failed,
           count(*) FILTER (WHERE status = 'REFUNDED') AS refunded
    FROM bench.placed
) s
WHERE c.shard = 0
