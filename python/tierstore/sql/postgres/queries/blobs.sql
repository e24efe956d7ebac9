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

-- name: touch
-- While its chunks are written again: the sweep waits.
UPDATE {schema}.blobs SET updated_at = now() WHERE digest = %(digest)s;

-- name: chunks
SELECT bytes FROM {schema}.blob_chunks WHERE digest = %(digest)s ORDER BY seq;

-- name: live
SELECT digest FROM {schema}.blobs WHERE digest = ANY(%(digests)s::text[]) AND state = 'live';
