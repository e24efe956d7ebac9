-- Reads of schemas.
--
-- list: schema_info =
--     row.id::text AS id, row.subject, row.version_major, row.version_minor, row.version_patch, row.prerelease, row.build,
--     row.schema_type, row.state, row.metadata::text AS metadata, row.content_digest, row.content_size, row.placement, row.row_version,
--     (extract(epoch FROM row.created_at) * 1000000)::bigint AS created_at,
--     (extract(epoch FROM row.updated_at) * 1000000)::bigint AS updated_at,
--     (extract(epoch FROM row.deleted_at) * 1000000)::bigint AS deleted_at

-- name: get_many
-- fenced
-- columns: {fence of f}, {schema_info of s}, CASE WHEN s.deleted_at IS NULL THEN s.body END AS body
SELECT {columns}
FROM (SELECT pg_current_snapshot() AS snapshot) AS f
LEFT JOIN {schema}.schemas AS s ON s.id = ANY(%(ids)s::uuid[])

-- name: get_versions
-- fenced
-- columns: {fence of f}, {schema_info of s}, s.body, o.row_version AS owner_version, k.number
-- One row a key, in any order: the schema, its owner's row_version (NULL: no such subject), and the number of the key, from 1.
SELECT {columns}
FROM (SELECT pg_current_snapshot() AS snapshot) AS f
CROSS JOIN unnest(
    %(subjects)s::text[], %(majors)s::int[], %(minors)s::int[], %(patches)s::int[], %(prereleases)s::text[]
) WITH ORDINALITY AS k (subject, major, minor, patch, prerelease, number)
LEFT JOIN {schema}.subjects AS o ON o.subject = k.subject
LEFT JOIN {schema}.schemas AS s ON
    s.subject = k.subject AND s.version_major = k.major AND s.version_minor = k.minor AND s.version_patch = k.patch
    AND s.prerelease = k.prerelease AND s.deleted_at IS NULL

-- name: get_latest
-- fenced
-- columns: {fence of f}, {schema_info of s}, s.body, o.row_version AS owner_version, k.number
-- As get_versions, a key being a subject. The look-up itself needs idx_schemas_latest alone. A pre-release is the latest only if it was
-- asked for, or if the subject has no release.
SELECT {columns}
FROM (SELECT pg_current_snapshot() AS snapshot) AS f
CROSS JOIN unnest(%(subjects)s::text[]) WITH ORDINALITY AS k (subject, number)
LEFT JOIN {schema}.subjects AS o ON o.subject = k.subject
LEFT JOIN LATERAL (
    SELECT r.id FROM {schema}.schemas AS r
    WHERE
        r.subject = k.subject AND r.deleted_at IS NULL AND r.state = ANY(%(states)s::text[])
        AND (%(prerelease)s OR r.prerelease_key = '\xff'::bytea)
    ORDER BY r.version_major DESC, r.version_minor DESC, r.version_patch DESC, r.prerelease_key DESC
    LIMIT 1
) AS r ON TRUE
LEFT JOIN LATERAL (
    SELECT p.id FROM {schema}.schemas AS p
    WHERE p.subject = k.subject AND p.deleted_at IS NULL AND p.state = ANY(%(states)s::text[]) AND r.id IS NULL
    ORDER BY p.version_major DESC, p.version_minor DESC, p.version_patch DESC, p.prerelease_key DESC
    LIMIT 1
) AS p ON TRUE
LEFT JOIN {schema}.schemas AS s ON s.id = coalesce(r.id, p.id)

-- name: infos
-- columns: {schema_info of s}, NULL AS body, (SELECT o.row_version FROM {schema}.subjects AS o WHERE o.subject = s.subject) AS owner_version
SELECT {columns}
FROM {schema}.schemas AS s
WHERE s.id = ANY(%(ids)s::uuid[]) AND s.deleted_at IS NULL

-- name: list
-- columns: {schema_info of s}, s.prerelease_key, (SELECT o.row_version FROM {schema}.subjects AS o WHERE o.subject = %(subject)s) AS owner_version
SELECT {columns}
FROM {schema}.schemas AS s
WHERE
    s.subject = %(subject)s AND s.deleted_at IS NULL
    AND (s.version_major, s.version_minor, s.version_patch, s.prerelease_key)
    < (%(major)s, %(minor)s, %(patch)s, %(prerelease_key)s)
    AND (%(states)s::text[] IS NULL OR s.state = ANY(%(states)s))
    AND (%(schema_type)s::text IS NULL OR s.schema_type = %(schema_type)s)
ORDER BY s.version_major DESC, s.version_minor DESC, s.version_patch DESC, s.prerelease_key DESC
LIMIT %(limit)s

-- name: list_deleted
-- columns: {schema_info of s}, s.prerelease_key, (SELECT o.row_version FROM {schema}.subjects AS o WHERE o.subject = %(subject)s) AS owner_version
-- As list, the soft-deleted ones among them; tombstones are not.
SELECT {columns}
FROM {schema}.schemas AS s
WHERE
    s.subject = %(subject)s AND s.purged_at IS NULL
    AND (s.version_major, s.version_minor, s.version_patch, s.prerelease_key)
    < (%(major)s, %(minor)s, %(patch)s, %(prerelease_key)s)
    AND (%(states)s::text[] IS NULL OR s.state = ANY(%(states)s))
    AND (%(schema_type)s::text IS NULL OR s.schema_type = %(schema_type)s)
ORDER BY s.version_major DESC, s.version_minor DESC, s.version_patch DESC, s.prerelease_key DESC
LIMIT %(limit)s

-- name: subjects
SELECT o.subject
FROM {schema}.subjects AS o
WHERE
    o.subject >= %(prefix)s AND o.subject < %(end)s AND o.subject > %(after)s
    AND EXISTS (SELECT 1 FROM {schema}.schemas AS s WHERE s.subject = o.subject AND s.deleted_at IS NULL)
ORDER BY o.subject
LIMIT %(limit)s

-- name: counts
SELECT s.state, s.schema_type, s.placement, count(*), coalesce(sum(s.content_size), 0)::bigint
FROM {schema}.schemas AS s
WHERE s.deleted_at IS NULL
GROUP BY s.state, s.schema_type, s.placement

-- name: count_subjects
SELECT count(DISTINCT s.subject) FROM {schema}.schemas AS s WHERE s.deleted_at IS NULL

-- name: popular
SELECT p.id::text, p.access_count FROM {schema}.popular_schemas AS p ORDER BY p.access_count DESC, p.id LIMIT %(limit)s

-- name: export
-- columns: {schema_info of s}, s.body
-- Every schema that is not deleted, in the order of its id.
SELECT {columns}
FROM {schema}.schemas AS s
WHERE s.id > %(after)s::uuid AND s.deleted_at IS NULL
ORDER BY s.id
LIMIT %(limit)s

-- name: referenced
-- Content outside rows that a schema refers to, softly deleted ones too: it may be restored.
SELECT DISTINCT s.content_digest
FROM {schema}.schemas AS s
WHERE s.content_digest = ANY(%(digests)s) AND s.placement <> 'inline' AND s.purged_at IS NULL
