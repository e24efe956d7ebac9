-- What the protocol of the tiers asks of the engine itself.
--
-- The columns of a fenced read, over row_version: the one behind the last, twice. A LEFT JOIN keeps them when nothing is found.
-- list: fence = row.value + 1 AS as_of, row.value + 1 AS ceiling

-- name: next_version
UPDATE row_version SET value = value + 1 WHERE only_row = 1;

-- name: fence
SELECT value FROM row_version;

-- name: position
SELECT value FROM row_version;

-- name: identity
SELECT value FROM tierstore_meta WHERE key = 'identity';

-- name: server
SELECT sqlite_version();

-- name: claim_key
INSERT INTO idempotency (key, request, result, created_at)
VALUES (:key, :request, '[]', CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER))
ON CONFLICT (key) DO NOTHING;

-- name: keep_answer
UPDATE idempotency SET result = :result WHERE key = :key;

-- name: recall
SELECT request, result FROM idempotency WHERE key = :key;

-- name: forget
DELETE FROM idempotency WHERE key IN (
    SELECT key FROM idempotency
    WHERE created_at < CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER) - CAST(:keep_s * 1000000 AS INTEGER)
    LIMIT :limit
);
