-- Content outside rows: what lives where, its chunks, and the uploads under way (those are in staging.db).

-- name: begin_upload
INSERT INTO blob_uploads (upload_id, digest, size, created_at)
VALUES (:upload_id, :digest, :size, CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER));

-- name: end_uploads
DELETE FROM blob_uploads WHERE upload_id IN (SELECT value FROM json_each(:upload_ids));

-- name: make_live
-- In the transaction that refers to it. A blob that the sweep has doomed lives again; where it lies already it stays.
INSERT INTO blobs (digest, size, tier, created_at, updated_at)
SELECT :digest, :size, :tier, t.now, t.now
FROM (SELECT CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER) AS now) AS t
WHERE true
ON CONFLICT (digest) DO UPDATE SET state = 'live', updated_at = excluded.updated_at;

-- name: add_chunk
-- What is there already is written again only if it is damaged.
INSERT INTO blob_chunks (digest, seq, bytes) VALUES (:digest, :seq, :bytes)
ON CONFLICT (digest, seq) DO UPDATE SET bytes = excluded.bytes WHERE blob_chunks.bytes <> excluded.bytes;

-- name: set_tier
UPDATE blobs SET tier = :tier, updated_at = CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER) WHERE digest = :digest;

-- name: not_in_object
-- slow
-- Whatever has chunks: those that were left beside an object too.
SELECT b.digest, b.size FROM blobs AS b
WHERE
    b.digest > :after AND b.state = 'live' AND b.size >= :min_size
    AND EXISTS (SELECT 1 FROM blob_chunks AS c WHERE c.digest = b.digest)
ORDER BY b.digest
LIMIT :limit;

-- name: not_in_row
-- slow
SELECT digest, size FROM blobs
WHERE digest > :after AND state = 'live' AND size >= :min_size AND tier = 'object'
ORDER BY digest
LIMIT :limit;

-- name: move
-- What the sweep has doomed stays.
UPDATE blobs SET tier = :tier, updated_at = CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER)
WHERE digest = :digest AND state = 'live';

-- name: hold_row
UPDATE blobs SET updated_at = CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER) WHERE digest = :digest AND tier = 'row';

-- name: drop_chunks
DELETE FROM blob_chunks WHERE digest = :digest;

-- name: touch
-- While its chunks are written again: the sweep waits.
UPDATE blobs SET updated_at = CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER) WHERE digest = :digest;

-- name: chunks
SELECT bytes FROM blob_chunks WHERE digest = :digest ORDER BY seq;

-- name: chunks_of
SELECT digest, bytes FROM blob_chunks WHERE digest IN (SELECT value FROM json_each(:digests)) ORDER BY digest, seq;

-- name: live
SELECT digest FROM blobs WHERE digest IN (SELECT value FROM json_each(:digests)) AND state = 'live';

-- name: doomed
-- Asked by an upload after it has shown itself.
SELECT 1 FROM blobs WHERE digest = :digest AND state = 'doomed';

-- name: count
-- slow
SELECT count(*) FROM blobs;

-- name: page
-- slow
SELECT digest, size, state FROM blobs WHERE digest > :after ORDER BY digest LIMIT :limit;

-- name: known
-- slow
SELECT digest FROM blobs WHERE digest IN (SELECT value FROM json_each(:digests));

-- name: uploading
-- An older one belongs to no call any more.
SELECT DISTINCT digest FROM blob_uploads
WHERE
    digest IN (SELECT value FROM json_each(:digests))
    AND created_at > CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER) - :grace_us;

-- name: doom
UPDATE blobs SET state = 'doomed', updated_at = CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER)
WHERE digest IN (SELECT value FROM json_each(:digests)) AND state = 'live';

-- name: doom_orphan
INSERT INTO blobs (digest, size, tier, state, created_at, updated_at)
SELECT :digest, :size, 'object', 'doomed', t.now, t.now
FROM (SELECT CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER) AS now) AS t
WHERE true
ON CONFLICT (digest) DO NOTHING;

-- name: expired
-- slow
SELECT digest FROM blobs
WHERE
    state = 'doomed'
    AND updated_at <= CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER) - :grace_us
    AND digest > :after
ORDER BY digest
LIMIT :limit;

-- name: lock_expired
-- Those that somebody has registered meanwhile are left for the next sweep.
SELECT digest, size, tier FROM blobs
WHERE
    digest IN (SELECT value FROM json_each(:digests))
    AND state = 'doomed'
    AND updated_at <= CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER) - :grace_us
ORDER BY digest;

-- name: spare
UPDATE blobs SET state = 'live', updated_at = CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER)
WHERE digest IN (SELECT value FROM json_each(:digests)) AND state = 'doomed';

-- name: remove
DELETE FROM blobs WHERE digest IN (SELECT value FROM json_each(:digests));

-- name: trim_uploads
-- Longer ago than any call may take.
DELETE FROM blob_uploads WHERE created_at <= CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER) - :grace_us;
