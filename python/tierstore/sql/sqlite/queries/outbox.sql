-- The outbox: one row per write, in its transaction. ids are given in commit order, without gaps (AUTOINCREMENT, one writer).

-- name: append
-- Without an identity: files that were put in the place of these take no write.
INSERT INTO outbox (keys, versions, created_at)
VALUES (:keys, :versions, CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER))
RETURNING NULL AS identity, id, (SELECT v.value FROM row_version AS v);

-- name: undelivered
-- The fence of an old row is unknown: the latest row_version is above it.
SELECT id, keys, versions, (SELECT v.value FROM row_version AS v) AS fence
FROM outbox
WHERE delivered_at IS NULL AND id > :after
ORDER BY id
LIMIT :limit;

-- name: mark_delivered
UPDATE outbox SET delivered_at = CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER)
WHERE id IN (SELECT value FROM json_each(:ids)) AND delivered_at IS NULL;

-- name: mark_all
-- Where nobody delivers what is there counts as delivered: its readers poll the rows themselves.
UPDATE outbox SET delivered_at = CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER)
WHERE delivered_at IS NULL AND id IN (SELECT u.id FROM outbox AS u WHERE u.delivered_at IS NULL ORDER BY u.id LIMIT :limit);

-- name: trim
DELETE FROM outbox
WHERE
    delivered_at IS NOT NULL
    AND created_at < CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER) - CAST(:keep_s * 1000000 AS INTEGER);

-- name: poll
SELECT
    coalesce((SELECT s.seq FROM sqlite_sequence AS s WHERE s.name = 'outbox'), 0) AS last_id,
    o.id,
    o.keys,
    o.versions
FROM (SELECT 1) AS one
LEFT JOIN outbox AS o ON o.id > :since
ORDER BY o.id;
