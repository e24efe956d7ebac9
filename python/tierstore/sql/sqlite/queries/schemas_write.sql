-- Writes of schemas. Each changes the owner rows first; there is one writer, and all rows of a transaction have the row_version that it
-- began with.
--
-- list: registered = row.id, row.row_version, row.created_at

-- name: touch_subject
INSERT INTO subjects (subject, row_version) VALUES (:subject, (SELECT value FROM row_version))
ON CONFLICT (subject) DO UPDATE SET row_version = excluded.row_version

-- name: touch_subjects
INSERT INTO subjects (subject, row_version)
SELECT t.value, (SELECT value FROM row_version) FROM json_each(:owners) AS t
WHERE TRUE
ON CONFLICT (subject) DO UPDATE SET row_version = excluded.row_version

-- name: touch_owner
UPDATE subjects SET row_version = (SELECT value FROM row_version)
WHERE subject = (SELECT i.subject FROM schemas AS i WHERE i.id = :id)

-- name: touch_owners
UPDATE subjects SET row_version = (SELECT value FROM row_version)
WHERE subject IN (SELECT i.subject FROM json_each(:edits) AS e INNER JOIN schemas AS i ON i.id = json_extract(e.value, '$.id'))

-- name: register
-- first: schemas_write.touch_subject
-- columns: {registered}, row_version AS owner_version
-- What is there already is passed over: the caller looks whether the id came back.
INSERT INTO schemas (
    id, subject, version_major, version_minor, version_patch, prerelease, build, prerelease_key, schema_type, state, content,
    metadata, search_text, body, content_digest, content_size, placement, row_version, created_at, updated_at
)
VALUES (
    :id, :subject, :major, :minor, :patch, :prerelease, :build, :prerelease_key, :schema_type, :state, :content, :metadata,
    :search_text, :body, :digest, :size, :tier, (SELECT value FROM row_version),
    CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER),
    CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER)
)
ON CONFLICT DO NOTHING
RETURNING {columns}

-- name: register_many
-- first: schemas_write.touch_subjects
-- each
-- columns: {registered}, row_version AS owner_version
-- One row at a time: JSON, in which SQLite takes lists, has no place for bytes.
INSERT INTO schemas (
    id, subject, version_major, version_minor, version_patch, prerelease, build, prerelease_key, schema_type, state, content,
    metadata, search_text, body, content_digest, content_size, placement, row_version, created_at, updated_at
)
VALUES (
    :ids, :subjects, :majors, :minors, :patches, :prereleases, :builds, :prerelease_keys, :schema_types, :states, :contents,
    :metadatas, :search_texts, :bodies, :digests, :sizes, :tiers, (SELECT value FROM row_version),
    CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER),
    CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER)
)
ON CONFLICT DO NOTHING
RETURNING {columns}

-- name: find_versions
-- columns: {schema_info of s}, s.body, o.row_version AS owner_version
-- What stands in the way of a registration, deleted ones too.
SELECT {columns}
FROM json_each(:subjects) AS k
INNER JOIN schemas AS s ON
    s.subject = k.value
    AND s.version_major = json_extract(:majors, '$[' || k.key || ']')
    AND s.version_minor = json_extract(:minors, '$[' || k.key || ']')
    AND s.version_patch = json_extract(:patches, '$[' || k.key || ']')
    AND s.prerelease = json_extract(:prereleases, '$[' || k.key || ']')
INNER JOIN subjects AS o ON o.subject = s.subject

-- name: find
-- columns: {schema_info of s}, s.body, o.row_version AS owner_version, s.purged_at IS NOT NULL AS is_purged
-- Schemas as they stand, whatever their state; tombstones too.
SELECT {columns}
FROM json_each(:ids) AS k
INNER JOIN schemas AS s ON s.id = k.value
INNER JOIN subjects AS o ON o.subject = s.subject

-- name: edit
-- first: schemas_write.touch_owners
-- columns: {schema_info}, body, row_version AS owner_version
-- Changes of state, deletions and restorations, each of another schema. One whose conditions do not hold is passed over: the caller
-- looks at the ids that came back.
UPDATE schemas AS s
SET
    row_version = (SELECT value FROM row_version),
    updated_at = e.now,
    state = coalesce(e.state, s.state),
    metadata = CASE WHEN e.reason IS NULL THEN s.metadata ELSE json_set(s.metadata, '$.state_reason', e.reason) END,
    deleted_at = CASE e.action WHEN 'delete' THEN e.now WHEN 'restore' THEN NULL ELSE s.deleted_at END
FROM (
    SELECT
        json_extract(j.value, '$.id') AS id, json_extract(j.value, '$.action') AS action,
        json_extract(j.value, '$.state') AS state, json_extract(j.value, '$.origins') AS origins,
        json_extract(j.value, '$.reason') AS reason, json_extract(j.value, '$.expected') AS expected,
        CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER) AS now
    FROM json_each(:edits) AS j
) AS e
WHERE
    s.id = e.id
    AND (e.expected IS NULL OR s.row_version = e.expected)
    AND CASE e.action
        WHEN 'state' THEN s.deleted_at IS NULL AND s.state IN (SELECT o.value FROM json_each(e.origins) AS o)
        WHEN 'delete' THEN s.deleted_at IS NULL
        ELSE s.deleted_at IS NOT NULL AND s.purged_at IS NULL
    END
RETURNING {columns}

-- name: purge
-- first: schemas_write.touch_owner
-- columns: {schema_info}, body, (SELECT value FROM row_version) AS owner_version
-- Leaves a tombstone: the id stays taken, the version is free.
UPDATE schemas AS s
SET
    row_version = (SELECT value FROM row_version),
    updated_at = CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER),
    deleted_at = coalesce(deleted_at, CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER)),
    purged_at = CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER),
    prerelease = NULL, body = NULL, content = '{}', metadata = '{}', search_text = ''
WHERE
    s.id = :id AND s.purged_at IS NULL
RETURNING {columns}
