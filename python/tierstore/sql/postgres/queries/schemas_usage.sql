-- name: log
-- In the order of the ids, so that two processes cannot wait for each other.
INSERT INTO {schema}.schema_access_log (schema_id, hour, access_count, last_accessed_at)
SELECT s.id, date_trunc('hour', now(), 'UTC'), t.number, now()
FROM unnest(%(ids)s::uuid[], %(counts)s::bigint[]) AS t (id, number)
INNER JOIN {schema}.schemas AS s ON s.id = t.id
ORDER BY s.id
ON CONFLICT (schema_id, hour) DO UPDATE
SET
    access_count = schema_access_log.access_count + excluded.access_count,
    last_accessed_at = excluded.last_accessed_at

-- name: trim
DELETE FROM {schema}.schema_access_log WHERE hour < now() - make_interval(days => %(days)s)

-- name: refresh
SELECT {schema}.refresh_popular()
