-- name: put
INSERT INTO notes (id, text, row_version) VALUES (:id, :text, (SELECT value FROM row_version))
ON CONFLICT (id) DO UPDATE SET text = excluded.text, row_version = excluded.row_version
RETURNING row_version

-- name: get_many
-- fenced
-- columns: {fence of f}, n.id, n.text, n.row_version
SELECT {columns}
FROM row_version AS f
LEFT JOIN notes AS n ON n.id IN (SELECT k.value FROM json_each(:ids) AS k)

-- name: list
SELECT id, text, row_version FROM notes WHERE id LIKE :prefix AND id > :after ORDER BY id LIMIT :limit

-- name: most_read
SELECT id FROM notes WHERE reads > 0 ORDER BY reads DESC LIMIT :limit
