-- name: put
INSERT INTO {schema}.notes (id, text, row_version) VALUES (%(id)s, %(text)s, nextval('{schema}.row_version'))
ON CONFLICT (id) DO UPDATE SET text = excluded.text, row_version = nextval('{schema}.row_version')
RETURNING row_version

-- name: get_many
-- fenced
-- columns: {fence of f}, n.id, n.text, n.row_version
SELECT {columns}
FROM (SELECT pg_current_snapshot() AS snapshot) AS f
LEFT JOIN {schema}.notes AS n ON n.id = ANY(%(ids)s::text[])

-- name: list
SELECT id, text, row_version FROM {schema}.notes
WHERE id LIKE %(prefix)s AND id > %(after)s ORDER BY id LIMIT %(limit)s

-- name: most_read
SELECT id FROM {schema}.notes WHERE reads > 0 ORDER BY reads DESC LIMIT %(limit)s
