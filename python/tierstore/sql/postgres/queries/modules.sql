-- Reads of modules and their versions.
--
-- list: module_row =
--     row.name, row.metadata::text AS metadata, row.row_version,
--     (extract(epoch FROM row.created_at) * 1000000)::bigint AS created_at,
--     (extract(epoch FROM row.updated_at) * 1000000)::bigint AS updated_at
-- list: module_version_row =
--     row.module_name, row.version, row.build, row.state, row.metadata::text AS metadata, row.digest, row.file_count, row.content_size,
--     row.deprecation_reason, row.replaced_by, row.row_version,
--     (extract(epoch FROM row.created_at) * 1000000)::bigint AS created_at,
--     (extract(epoch FROM row.updated_at) * 1000000)::bigint AS updated_at,
--     (extract(epoch FROM row.published_at) * 1000000)::bigint AS published_at,
--     (extract(epoch FROM row.deprecated_at) * 1000000)::bigint AS deprecated_at,
--     (extract(epoch FROM row.archived_at) * 1000000)::bigint AS archived_at

-- name: get_many
-- fenced
-- columns: {fence of f}, {module_row of m}, o.row_version AS owner_version, k.number
-- One row a key, in any order: the module, its owner's row_version (NULL: never there), and the number of the key, from 1.
SELECT {columns}
FROM (SELECT pg_current_snapshot() AS snapshot) AS f
CROSS JOIN unnest(%(names)s::text[]) WITH ORDINALITY AS k (name, number)
LEFT JOIN {schema}.module_owners AS o ON o.name = k.name
LEFT JOIN {schema}.modules AS m ON m.name = k.name

-- name: get_versions
-- fenced
-- columns: {fence of f}, {module_version_row of v},
--     (SELECT json_agg(json_build_array(l.path, l.size, l.digest))
--     FROM {schema}.module_files AS l
--     WHERE l.module_name = v.module_name AND l.version = v.version)::text AS files, o.row_version AS owner_version, k.number
-- As get_many, a key being a name and a version without build metadata; files: its files as JSON, in any order, NULL for none.
SELECT {columns}
FROM (SELECT pg_current_snapshot() AS snapshot) AS f
CROSS JOIN unnest(%(names)s::text[], %(versions)s::text[]) WITH ORDINALITY AS k (name, version, number)
LEFT JOIN {schema}.module_owners AS o ON o.name = k.name
LEFT JOIN {schema}.module_versions AS v ON v.module_name = k.name AND v.version = k.version

-- name: get_latest
-- fenced
-- columns: {fence of f}, {module_version_row of v},
--     (SELECT json_agg(json_build_array(l.path, l.size, l.digest))
--     FROM {schema}.module_files AS l
--     WHERE l.module_name = v.module_name AND l.version = v.version)::text AS files, o.row_version AS owner_version, k.number
-- As get_versions, a key being a name: the highest release that may be used, else the highest pre-release.
SELECT {columns}
FROM (SELECT pg_current_snapshot() AS snapshot) AS f
CROSS JOIN unnest(%(names)s::text[]) WITH ORDINALITY AS k (name, number)
LEFT JOIN {schema}.module_owners AS o ON o.name = k.name
LEFT JOIN LATERAL (
    SELECT r.version FROM {schema}.module_versions AS r
    WHERE r.module_name = k.name AND r.state IN ('published', 'deprecated') AND r.prerelease_key = '\xff'::bytea
    ORDER BY r.version_major DESC, r.version_minor DESC, r.version_patch DESC, r.prerelease_key DESC
    LIMIT 1
) AS r ON TRUE
LEFT JOIN LATERAL (
    SELECT p.version FROM {schema}.module_versions AS p
    WHERE p.module_name = k.name AND p.state IN ('published', 'deprecated') AND r.version IS NULL
    ORDER BY p.version_major DESC, p.version_minor DESC, p.version_patch DESC, p.prerelease_key DESC
    LIMIT 1
) AS p ON TRUE
LEFT JOIN {schema}.module_versions AS v ON v.module_name = k.name AND v.version = coalesce(r.version, p.version)

-- name: list
-- columns: {module_row of m}
SELECT {columns}
FROM {schema}.modules AS m
WHERE m.name >= %(prefix)s AND m.name < %(end)s AND m.name > %(after)s
ORDER BY m.name
LIMIT %(limit)s

-- name: list_versions
-- columns: {module_version_row of v}
SELECT {columns}
FROM {schema}.module_versions AS v
WHERE
    v.module_name = %(name)s
    AND (v.version_major, v.version_minor, v.version_patch, v.prerelease_key)
    < (%(major)s, %(minor)s, %(patch)s, %(prerelease_key)s)
ORDER BY v.version_major DESC, v.version_minor DESC, v.version_patch DESC, v.prerelease_key DESC
LIMIT %(limit)s

-- name: recent
-- The modules that were changed last, or whose versions were.
SELECT o.name
FROM {schema}.module_owners AS o
INNER JOIN {schema}.modules AS m ON m.name = o.name
ORDER BY o.row_version DESC
LIMIT %(limit)s

-- name: counts
SELECT v.state, count(*), sum(v.file_count)::bigint, sum(v.content_size)::bigint
FROM {schema}.module_versions AS v
GROUP BY v.state

-- name: count_modules
SELECT count(*) FROM {schema}.modules

-- name: audit
-- columns: a.id, (extract(epoch FROM a.at) * 1000000)::bigint AS at, a.actor, a.action, a.module_name, a.version, a.request_id,
--     a.detail::text AS detail
SELECT {columns}
FROM {schema}.module_audit AS a
WHERE a.id < %(before)s AND a.at >= 'epoch'::timestamptz + %(since)s * interval '1 microsecond'
ORDER BY a.id DESC
LIMIT %(limit)s

-- name: audit_of
-- columns: a.id, (extract(epoch FROM a.at) * 1000000)::bigint AS at, a.actor, a.action, a.module_name, a.version, a.request_id,
--     a.detail::text AS detail
SELECT {columns}
FROM {schema}.module_audit AS a
WHERE a.module_name = %(name)s AND a.id < %(before)s AND a.at >= 'epoch'::timestamptz + %(since)s * interval '1 microsecond'
ORDER BY a.id DESC
LIMIT %(limit)s

-- name: audit_of_version
-- columns: a.id, (extract(epoch FROM a.at) * 1000000)::bigint AS at, a.actor, a.action, a.module_name, a.version, a.request_id,
--     a.detail::text AS detail
SELECT {columns}
FROM {schema}.module_audit AS a
WHERE a.module_name = %(name)s AND a.version = %(version)s AND a.id < %(before)s
ORDER BY a.id DESC
LIMIT %(limit)s

-- name: referenced
SELECT DISTINCT l.digest FROM {schema}.module_files AS l WHERE l.digest = ANY(%(digests)s)
