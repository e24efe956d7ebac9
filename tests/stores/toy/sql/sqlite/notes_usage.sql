-- name: log
UPDATE notes SET reads = reads + (
    SELECT json_extract(:counts, '$[' || t.key || ']') FROM json_each(:ids) AS t WHERE t.value = notes.id
)
WHERE id IN (SELECT t.value FROM json_each(:ids) AS t)

-- name: trim
-- nothing
-- Counts are kept for ever.

-- name: refresh
-- nothing
-- There is no view of them.
