-- Content outside rows: what lives where, its chunks, and the uploads under way (those are committed aside).

-- name: begin_upload
INSERT INTO {schema}.blob_uploads (upload_id, digest, size) VALUES (%(upload_id)s::uuid, %(digest)s, %(size)s);

-- name: end_uploads
DELETE FROM {schema}.blob_uploads WHERE upload_id = ANY(%(upload_ids)s::uuid[]);

-- name: make_live
-- In the transaction that refers to it. A blob that the sweep has doomed lives again; where it lies already it stays.
INSERT INTO {schema}.blobs (digest, size, tier) VALUES (%(digest)s, %(size)s, %(tier)s)
ON CONFLICT (digest) DO UPDATE SET state = 'live', updated_at = now();

-- name: add_chunk
-- What is there already is written again only if it is damaged.
INSERT INTO {schema}.blob_chunks (digest, seq, bytes) VALUES (%(digest)s, %(seq)s, %(bytes)s)
ON CONFLICT (digest, seq) DO UPDATE SET bytes = excluded.bytes WHERE blob_chunks.bytes <> excluded.bytes;

-- name: set_tier
UPDATE {schema}.blobs SET tier = %(tier)s, updated_at = now() WHERE digest = %(digest)s;

-- name: not_in_object
-- Whatever has chunks: those that were left beside an object too.
SELECT b.digest, b.size FROM {schema}.blobs AS b
WHERE
    b.digest > %(after)s AND b.state = 'live' AND b.size >= %(min_size)s
    AND EXISTS (SELECT 1 FROM {schema}.blob_chunks AS c WHERE c.digest = b.digest)
ORDER BY b.digest
LIMIT %(limit)s;

-- name: not_in_row
SELECT digest, size FROM {schema}.blobs
WHERE digest > %(after)s AND state = 'live' AND size >= %(min_size)s AND tier = 'object'
ORDER BY digest
LIMIT %(limit)s;

-- name: move
-- The row is locked until the chunks are written or gone. What the sweep has doomed stays.
UPDATE {schema}.blobs SET tier = %(tier)s, updated_at = now() WHERE digest = %(digest)s AND state = 'live';

-- name: hold_row
UPDATE {schema}.blobs SET updated_at = now() WHERE digest = %(digest)s AND tier = 'row';

-- name: drop_chunks
DELETE FROM {schema}.blob_chunks WHERE digest = %(digest)s;

-- name: touch
-- While its chunks are written again: the sweep waits.
UPDATE {schema}.blobs SET updated_at = now() WHERE digest = %(digest)s;

-- name: chunks
SELECT bytes FROM {schema}.blob_chunks WHERE digest = %(digest)s ORDER BY seq;

-- name: chunks_of
SELECT digest, bytes FROM {schema}.blob_chunks WHERE digest = ANY(%(digests)s::text[]) ORDER BY digest, seq;

-- name: live
SELECT digest FROM {schema}.blobs WHERE digest = ANY(%(digests)s::text[]) AND state = 'live';

-- name: doomed
-- Asked by an upload after it has shown itself.
SELECT 1 FROM {schema}.blobs WHERE digest = %(digest)s AND state = 'doomed';

-- name: count
SELECT count(*) FROM {schema}.blobs;

-- name: page
SELECT digest, size, state FROM {schema}.blobs WHERE digest > %(after)s ORDER BY digest LIMIT %(limit)s;

-- name: known
SELECT digest FROM {schema}.blobs WHERE digest = ANY(%(digests)s::text[]);

-- name: uploading
-- An older one belongs to no call any more.
SELECT DISTINCT digest FROM {schema}.blob_uploads
WHERE digest = ANY(%(digests)s::text[]) AND created_at > now() - %(grace_us)s * interval '1 microsecond';

-- name: doom
UPDATE {schema}.blobs SET state = 'doomed', updated_at = now() WHERE digest = ANY(%(digests)s::text[]) AND state = 'live';

-- name: doom_orphan
INSERT INTO {schema}.blobs (digest, size, tier, state) VALUES (%(digest)s, %(size)s, 'object', 'doomed') ON CONFLICT (digest) DO NOTHING;

-- name: expired
SELECT digest FROM {schema}.blobs
WHERE state = 'doomed' AND updated_at <= now() - %(grace_us)s * interval '1 microsecond' AND digest > %(after)s
ORDER BY digest
LIMIT %(limit)s;

-- name: lock_expired
-- Those that somebody is registering are left for the next sweep.
SELECT digest, size, tier FROM {schema}.blobs
WHERE
    digest = ANY(%(digests)s::text[]) AND state = 'doomed' AND updated_at <= now() - %(grace_us)s * interval '1 microsecond'
ORDER BY digest
FOR UPDATE SKIP LOCKED;

-- name: spare
UPDATE {schema}.blobs SET state = 'live', updated_at = now() WHERE digest = ANY(%(digests)s::text[]) AND state = 'doomed';

-- name: remove
DELETE FROM {schema}.blobs WHERE digest = ANY(%(digests)s::text[]);

-- name: trim_uploads
-- Longer ago than any call may take.
DELETE FROM {schema}.blob_uploads WHERE created_at <= now() - %(grace_us)s * interval '1 microsecond';
