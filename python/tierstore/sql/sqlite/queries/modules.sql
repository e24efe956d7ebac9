-- Reads of modules and their versions.
--
-- list: module_row =
--     row.name, row.metadata, row.row_version, row.created_at, row.updated_at
-- list: module_version_row =
--     row.module_name, row.version, row.build, row.state, row.metadata, row.digest, row.file_count, row.content_size,
--     row.deprecation_reason, row.replaced_by, row.row_version, row.created_at, row.updated_at, row.published_at, row.deprecated_at,
--     row.archived_at

-- name: get_many
-- fenced
-- columns: {fence of f}, {module_row of m}, o.row_version AS owner_version, k.key + 1 AS number
-- One row a key, in any order: the module, its owner's row_version (NULL: never there), and the number of the key, from 1.
SELECT {columns}
FROM row_version AS f
CROSS JOIN json_each(:names) AS k
LEFT JOIN module_owners AS o ON o.name = k.value
LEFT JOIN modules AS m ON m.name = k.value

-- name: get_versions
-- fenced
-- columns: {fence of f}, {module_version_row of v},
--     (SELECT json_group_array(json_array(l.path, l.size, l.digest))
--     FROM module_files AS l
--     WHERE l.module_name = v.module_name AND l.version = v.version) AS files, o.row_version AS owner_version, k.key + 1 AS number
-- As get_many, a key being a name and a version without build metadata; files: its files as JSON, in any order, NULL for none.
SELECT {columns}
FROM row_version AS f
CROSS JOIN json_each(:names) AS k
LEFT JOIN module_owners AS o ON o.name = k.value
LEFT JOIN module_versions AS v ON v.module_name = k.value AND v.version = json_extract(:versions, '$[' || k.key || ']')

-- name: get_latest
-- fenced
-- columns: {fence of f}, {module_version_row of v},
--     (SELECT json_group_array(json_array(l.path, l.size, l.digest))
--     FROM module_files AS l
--     WHERE l.module_name = v.module_name AND l.version = v.version) AS files, o.row_version AS owner_version, k.key + 1 AS number
-- As get_versions, a key being a name: the highest release that may be used, else the highest pre-release.
SELECT {columns}
FROM row_version AS f
CROSS JOIN json_each(:names) AS k
LEFT JOIN module_owners AS o ON o.name = k.value
LEFT JOIN module_versions AS v ON v.module_name = k.value AND v.version = coalesce(
    (
        SELECT r.version FROM module_versions AS r
        WHERE r.module_name = k.value AND r.state IN ('published', 'deprecated') AND r.prerelease_key = x'ff'
        ORDER BY r.version_major DESC, r.version_minor DESC, r.version_patch DESC, r.prerelease_key DESC
        LIMIT 1
    ),
    (
        SELECT p.version FROM module_versions AS p
        WHERE p.module_name = k.value AND p.state IN ('published', 'deprecated')
        ORDER BY p.version_major DESC, p.version_minor DESC, p.version_patch DESC, p.prerelease_key DESC
        LIMIT 1
    )
)

-- name: list
-- slow
-- columns: {module_row of m}
SELECT {columns}
FROM modules AS m
WHERE m.name >= :prefix AND m.name < :end AND m.name > :after
ORDER BY m.name
LIMIT :limit

-- name: list_versions
-- slow
-- columns: {module_version_row of v}
SELECT {columns}
FROM module_versions AS v
WHERE
    v.module_name = :name
    AND (v.version_major, v.version_minor, v.version_patch, v.prerelease_key)
    < (:major, :minor, :patch, :prerelease_key)
ORDER BY v.version_major DESC, v.version_minor DESC, v.version_patch DESC, v.prerelease_key DESC
LIMIT :limit

-- name: recent
-- slow
-- The modules that were changed last, or whose versions were.
SELECT o.name
FROM module_owners AS o
INNER JOIN modules AS m ON m.name = o.name
ORDER BY o.row_version DESC
LIMIT :limit

-- name: counts
-- slow
SELECT v.state, count(*), sum(v.file_count), sum(v.content_size)
FROM module_versions AS v
GROUP BY v.state

-- name: count_modules
-- slow
SELECT count(*) FROM modules

-- name: audit
-- slow
-- columns: a.id, a.at, a.actor, a.action, a.module_name, a.version, a.request_id, a.detail
SELECT {columns}
FROM module_audit AS a
WHERE a.id < :before AND a.at >= :since
ORDER BY a.id DESC
LIMIT :limit

-- name: audit_of
-- slow
-- columns: a.id, a.at, a.actor, a.action, a.module_name, a.version, a.request_id, a.detail
SELECT {columns}
FROM module_audit AS a
WHERE a.module_name = :name AND a.id < :before AND a.at >= :since
ORDER BY a.id DESC
LIMIT :limit

-- name: audit_of_version
-- slow
-- columns: a.id, a.at, a.actor, a.action, a.module_name, a.version, a.request_id, a.detail
SELECT {columns}
FROM module_audit AS a
WHERE a.module_name = :name AND a.version = :version AND a.id < :before
ORDER BY a.id DESC
LIMIT :limit

-- name: referenced
SELECT DISTINCT l.digest FROM module_files AS l WHERE l.digest IN (SELECT value FROM json_each(:digests))
