-- The outbox: one row per write, in its transaction. ids are not given in commit order: readers go by xid.

-- name: append
-- With the identity: whose keys they are is known only where they are written.
-- columns: {identity}, outbox.id, outbox.xid::text::bigint AS xid
INSERT INTO {schema}.outbox (keys, versions) VALUES (%(keys)s::text[], %(versions)s::bigint[])
RETURNING {columns};

-- name: undelivered
-- Everything that is committed above the id `after`, above the oldest running transaction too: an echo says that all of it was delivered.
-- A row that commits late is not skipped: it shows up later, still without its mark. The left join answers one row for none.
-- columns: {identity}, o.id, o.keys, o.versions, o.xid::text::bigint AS xid
SELECT {columns}
FROM (VALUES (1)) AS one (one)
LEFT JOIN (
    SELECT u.id, u.keys, u.versions, u.xid FROM {schema}.outbox AS u
    WHERE u.delivered_at IS NULL AND u.id > %(after)s::bigint
    ORDER BY u.id
    LIMIT %(limit)s::bigint
) AS o ON TRUE
ORDER BY o.id;

-- name: mark_delivered
UPDATE {schema}.outbox SET delivered_at = now() WHERE id = ANY(%(ids)s::bigint[]) AND delivered_at IS NULL;

-- name: mark_all
-- Where nobody delivers what is there counts as delivered: its readers poll the rows themselves.
UPDATE {schema}.outbox SET delivered_at = now()
WHERE
    delivered_at IS NULL
    AND id IN (SELECT u.id FROM {schema}.outbox AS u WHERE u.delivered_at IS NULL ORDER BY u.id LIMIT %(limit)s::bigint);

-- name: trim
-- What was trimmed is written down, so that a poller that slept through it knows that it missed something.
WITH gone AS (
    DELETE FROM {schema}.outbox
    WHERE
        delivered_at IS NOT NULL
        AND created_at < now() - make_interval(secs => %(keep_s)s)
        AND xid < pg_snapshot_xmin(pg_current_snapshot())
    RETURNING xid::text::bigint AS xid
)

UPDATE {schema}.tierstore_meta AS m
SET value = greatest(m.value::bigint, (SELECT max(g.xid) FROM gone AS g))::text
WHERE m.key = 'outbox_trimmed' AND EXISTS (SELECT 1 FROM gone);

-- name: poll
-- Every row of a transaction that had not ended at the last poll, but for those seen. The left join answers one row for none.
SELECT
    pg_snapshot_xmin(s.now)::text::bigint AS xmin,
    (SELECT m.value::bigint FROM {schema}.tierstore_meta AS m WHERE m.key = 'outbox_trimmed') AS trimmed,
    extract(EPOCH FROM pg_postmaster_start_time())::text AS server,
    o.id,
    o.xid::text::bigint,
    o.keys,
    o.versions
FROM (SELECT pg_current_snapshot() AS now) AS s
LEFT JOIN {schema}.outbox AS o ON o.xid >= (%(since)s::bigint)::text::xid8 AND o.id <> ALL(%(seen)s::bigint[])
ORDER BY o.xid, o.id;
