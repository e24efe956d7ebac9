-- name: log
UPDATE {schema}.notes SET reads = reads + t.number
FROM unnest(%(ids)s::text[], %(counts)s::bigint[]) AS t (id, number)
WHERE notes.id = t.id

-- name: trim
-- nothing
-- Counts are kept for ever.

-- name: refresh
-- nothing
-- There is no view of them.
