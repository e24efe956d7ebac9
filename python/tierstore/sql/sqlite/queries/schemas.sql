-- Reads of schemas.
--
-- list: schema_info =
--     row.id, row.subject, row.version_major, row.version_minor, row.version_patch, row.prerelease, row.build, row.schema_type,
--     row.state, row.metadata, row.content_digest, row.content_size, row.placement, row.row_version, row.created_at, row.updated_at,
--     row.deleted_at

-- name: get_many
-- fenced
-- columns: {fence of f}, {schema_info of s}, CASE WHEN s.deleted_at IS NULL THEN s.body END AS body
SELECT {columns}
FROM row_version AS f
LEFT JOIN schemas AS s ON s.id IN (SELECT k.value FROM json_each(:ids) AS k)

-- name: get_versions
-- fenced
-- columns: {fence of f}, {schema_info of s}, s.body, o.row_version AS owner_version, k.key + 1 AS number
-- One row a key, in any order: the schema, its owner's row_version (NULL: no such subject), and the number of the key, from 1.
SELECT {columns}
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
-- fenced
-- columns: {fence of f}, {schema_info of s}, s.body, o.row_version AS owner_version, k.key + 1 AS number
-- As get_versions, a key being a subject. The look-up itself needs idx_schemas_latest alone. A pre-release is the latest only if it was
-- asked for, or if the subject has no release.
SELECT {columns}
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
-- columns: {schema_info of s}, NULL AS body, (SELECT o.row_version FROM subjects AS o WHERE o.subject = s.subject) AS owner_version
SELECT {columns}
FROM schemas AS s
WHERE s.id IN (SELECT k.value FROM json_each(:ids) AS k) AND s.deleted_at IS NULL

-- name: list
-- slow
-- columns: {schema_info of s}, s.prerelease_key, (SELECT o.row_version FROM subjects AS o WHERE o.subject = :subject) AS owner_version
SELECT {columns}
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
-- columns: {schema_info of s}, s.prerelease_key, (SELECT o.row_version FROM subjects AS o WHERE o.subject = :subject) AS owner_version
-- As list, the soft-deleted ones among them; tombstones are not.
SELECT {columns}
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
-- columns: {schema_info of s}, s.body
-- Every schema that is not deleted, in the order of its id.
SELECT {columns}
FROM schemas AS s
WHERE s.id > :after AND s.deleted_at IS NULL
ORDER BY s.id
LIMIT :limit

-- name: referenced
-- Content outside rows that a schema refers to, softly deleted ones too: it may be restored.
SELECT DISTINCT s.content_digest
FROM schemas AS s
WHERE s.content_digest IN (SELECT value FROM json_each(:digests)) AND s.placement <> 'inline' AND s.purged_at IS NULL
