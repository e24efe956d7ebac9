-- Reads of schemas. Each column list is the one that stores/schemas/rows.py takes apart: seventeen columns of SchemaInfo, then the body.
-- A fenced read begins with the row_version behind the last one, twice; its LEFT JOIN keeps them when nothing is found.

-- name: get_many
SELECT
    f.value + 1, f.value + 1,
    s.id, s.subject, s.version_major, s.version_minor, s.version_patch, s.prerelease, s.build, s.schema_type,
    s.state, s.metadata, s.content_digest, s.content_size, s.placement, s.row_version, s.created_at, s.updated_at,
    s.deleted_at,
    CASE WHEN s.deleted_at IS NULL THEN s.body END
FROM row_version AS f
LEFT JOIN schemas AS s ON s.id IN (SELECT k.value FROM json_each(:ids) AS k)

-- name: get_versions
-- One row a key, in any order: its number from 1, the owner's row_version (NULL: no such subject), and the schema.
SELECT
    f.value + 1, f.value + 1,
    k.key + 1, o.row_version,
    s.id, s.subject, s.version_major, s.version_minor, s.version_patch, s.prerelease, s.build, s.schema_type,
    s.state, s.metadata, s.content_digest, s.content_size, s.placement, s.row_version, s.created_at, s.updated_at,
    s.deleted_at,
    s.body
FROM row_version AS f
CROSS JOIN json_each(:subjects) AS k
LEFT JOIN subjects AS o ON o.subject = k.value
LEFT JOIN schemas AS s ON
    s.subject = k.value
    AND s.version_major = json_extract(:majors, '$[' || k.key || ']')
    AND s.version_minor = json_extract(:minors, '$[' || k.key || ']')
    AND s.version_patch = json_extract(:patches, '$[' || k.key || ']')
    AND s.prerelease = json_extract(:prereleases, '$[' || k.key || ']')
    AND s.deleted_at IS NULL

-- name: get_latest
-- As get_versions, a key being a subject. The look-up itself needs idx_schemas_latest alone. A pre-release is the latest only if it was
-- asked for, or if the subject has no release.
SELECT
    f.value + 1, f.value + 1,
    k.key + 1, o.row_version,
    s.id, s.subject, s.version_major, s.version_minor, s.version_patch, s.prerelease, s.build, s.schema_type,
    s.state, s.metadata, s.content_digest, s.content_size, s.placement, s.row_version, s.created_at, s.updated_at,
    s.deleted_at,
    s.body
FROM row_version AS f
CROSS JOIN json_each(:subjects) AS k
LEFT JOIN subjects AS o ON o.subject = k.value
LEFT JOIN schemas AS s ON s.id = coalesce(
    (
        SELECT r.id FROM schemas AS r
        WHERE
            r.subject = k.value AND r.deleted_at IS NULL
            AND r.state IN (SELECT j.value FROM json_each(:states) AS j)
            AND (:prerelease OR r.prerelease_key = x'ff')
        ORDER BY r.version_major DESC, r.version_minor DESC, r.version_patch DESC, r.prerelease_key DESC
        LIMIT 1
    ),
    (
        SELECT p.id FROM schemas AS p
        WHERE
            p.subject = k.value AND p.deleted_at IS NULL
            AND p.state IN (SELECT j.value FROM json_each(:states) AS j)
        ORDER BY p.version_major DESC, p.version_minor DESC, p.version_patch DESC, p.prerelease_key DESC
        LIMIT 1
    )
)

-- name: infos
SELECT
    s.id, s.subject, s.version_major, s.version_minor, s.version_patch, s.prerelease, s.build, s.schema_type,
    s.state, s.metadata, s.content_digest, s.content_size, s.placement, s.row_version, s.created_at, s.updated_at,
    s.deleted_at
FROM schemas AS s
WHERE s.id IN (SELECT k.value FROM json_each(:ids) AS k) AND s.deleted_at IS NULL

-- name: list
-- slow
SELECT
    s.id, s.subject, s.version_major, s.version_minor, s.version_patch, s.prerelease, s.build, s.schema_type,
    s.state, s.metadata, s.content_digest, s.content_size, s.placement, s.row_version, s.created_at, s.updated_at,
    s.deleted_at,
    s.prerelease_key
FROM schemas AS s
WHERE
    s.subject = :subject AND s.deleted_at IS NULL
    AND (s.version_major, s.version_minor, s.version_patch, s.prerelease_key) < (:major, :minor, :patch, :prerelease_key)
    AND (:states IS NULL OR s.state IN (SELECT j.value FROM json_each(:states) AS j))
    AND (:schema_type IS NULL OR s.schema_type = :schema_type)
ORDER BY s.version_major DESC, s.version_minor DESC, s.version_patch DESC, s.prerelease_key DESC
LIMIT :limit

-- name: list_deleted
-- slow
-- As list, the soft-deleted ones among them; tombstones are not.
SELECT
    s.id, s.subject, s.version_major, s.version_minor, s.version_patch, s.prerelease, s.build, s.schema_type,
    s.state, s.metadata, s.content_digest, s.content_size, s.placement, s.row_version, s.created_at, s.updated_at,
    s.deleted_at,
    s.prerelease_key
FROM schemas AS s
WHERE
    s.subject = :subject AND s.purged_at IS NULL
    AND (s.version_major, s.version_minor, s.version_patch, s.prerelease_key) < (:major, :minor, :patch, :prerelease_key)
    AND (:states IS NULL OR s.state IN (SELECT j.value FROM json_each(:states) AS j))
    AND (:schema_type IS NULL OR s.schema_type = :schema_type)
ORDER BY s.version_major DESC, s.version_minor DESC, s.version_patch DESC, s.prerelease_key DESC
LIMIT :limit

-- name: subjects
-- slow
SELECT o.subject
FROM subjects AS o
WHERE
    o.subject >= :prefix AND o.subject < :end AND o.subject > :after
    AND EXISTS (SELECT 1 FROM schemas AS s WHERE s.subject = o.subject AND s.deleted_at IS NULL)
ORDER BY o.subject
LIMIT :limit

-- name: counts
-- slow
SELECT s.state, s.schema_type, s.placement, count(*), sum(s.content_size)
FROM schemas AS s
WHERE s.deleted_at IS NULL
GROUP BY s.state, s.schema_type, s.placement

-- name: count_subjects
-- slow
SELECT count(DISTINCT s.subject) FROM schemas AS s WHERE s.deleted_at IS NULL

-- name: popular
-- slow
SELECT p.id, p.access_count FROM popular_schemas AS p ORDER BY p.access_count DESC, p.id LIMIT :limit

-- name: export
-- slow
-- Every schema that is not deleted, in the order of its id.
SELECT
    s.id, s.subject, s.version_major, s.version_minor, s.version_patch, s.prerelease, s.build, s.schema_type,
    s.state, s.metadata, s.content_digest, s.content_size, s.placement, s.row_version, s.created_at, s.updated_at,
    s.deleted_at,
    s.body
FROM schemas AS s
WHERE s.id > :after AND s.deleted_at IS NULL
ORDER BY s.id
LIMIT :limit
