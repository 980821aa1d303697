-- Orders whose time to pay ended in the last ten minutes, one after the other, with nobody there to look.
UPDATE orders o SET due_at = w.ended_at, expires_at = w.ended_at
FROM (SELECT id, timezone('utc', now()) - row_number() OVER (ORDER BY due_at DESC) * interval '10 minutes' / $1::bigint AS ended_at
      FROM (SELECT id, due_at FROM orders
            WHERE due_at > timezone('utc', now()) + interval '1 hour' AND phase = 'awaiting_payment'
            ORDER BY due_at LIMIT $1::bigint) waiting) w
WHERE o.id = w.id
