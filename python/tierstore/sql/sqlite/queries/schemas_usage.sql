-- name: log
INSERT INTO schema_access_log (schema_id, hour, access_count, last_accessed_at)
SELECT s.id, now.us / 3600000000 * 3600000000, json_extract(:counts, '$[' || t.key || ']'), now.us
FROM (SELECT CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER) AS us) AS now
CROSS JOIN json_each(:ids) AS t
INNER JOIN schemas AS s ON s.id = t.value
WHERE TRUE
ON CONFLICT (schema_id, hour) DO UPDATE
SET access_count = access_count + excluded.access_count, last_accessed_at = excluded.last_accessed_at

-- name: trim
DELETE FROM schema_access_log
WHERE hour < CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER) - :days * 86400000000

-- name: refresh
-- nothing
-- popular_schemas is a view.
