-- What the files of a version import, and what follows from it.

-- name: lock
-- Until the commit: of two that bind, publish or delete, the second one sees what the first one did.
SELECT pg_advisory_xact_lock(hashtext('tierstore modules'), hashtext({schema_text}))

-- name: imports_of
-- columns: i.id, i.file, i.path, i.kind, i.line, i."column" AS line_column, i.status, i.error, i.dependency_name, i.dependency_version
SELECT {columns}
FROM {schema}.module_imports AS i
WHERE i.module_name = %(name)s AND i.version = %(version)s
ORDER BY i.file, i.line, i."column", i.id

-- name: add_imports
-- `imports`: a JSON list of file, path, kind, line, column, status, error, and the module and version that it is bound to.
INSERT INTO {schema}.module_imports (
    module_name, version, file, path, kind, line, "column", status, error, dependency_name, dependency_version
)
SELECT
    %(name)s, %(version)s, i ->> 0, i ->> 1, i ->> 2,
    (i ->> 3)::integer, (i ->> 4)::integer, i ->> 5, i ->> 6,
    i ->> 7, i ->> 8
FROM json_array_elements(%(imports)s::json) AS i

-- name: remove_imports
-- Those of one file.
DELETE FROM {schema}.module_imports WHERE module_name = %(name)s AND version = %(version)s AND file = %(file)s

-- name: bind
-- `bound`: a JSON list of id, status, error, module and version.
UPDATE {schema}.module_imports AS i
SET status = b.status, error = b.error, dependency_name = b.dependency_name, dependency_version = b.dependency_version
FROM (
    SELECT
        (j ->> 0)::bigint AS id, j ->> 1 AS status, j ->> 2 AS error,
        j ->> 3 AS dependency_name, j ->> 4 AS dependency_version
    FROM json_array_elements(%(bound)s::json) AS j
) AS b
WHERE i.id = b.id

-- name: holders
-- Who has a file of these paths in a version that may be used.
SELECT f.path, f.module_name, f.version, v.state
FROM {schema}.module_files AS f
INNER JOIN {schema}.module_versions AS v ON v.module_name = f.module_name AND v.version = f.version
WHERE f.path = ANY(%(paths)s) AND v.state IN ('published', 'deprecated')

-- name: waiting
-- Unresolved imports of these paths, by id, a batch at a time.
SELECT i.id, i.module_name, i.version, i.path, i.error
FROM {schema}.module_imports AS i
WHERE i.status = 'unresolved' AND i.path = ANY(%(paths)s) AND i.id > %(after)s
ORDER BY i.id
LIMIT %(limit)s

-- name: project
-- `versions`: a JSON list of names and versions whose resolved imports of other modules become dependencies, each once.
INSERT INTO {schema}.module_dependencies (module_name, version, dependency_name, dependency_version, import_path, created_at)
SELECT DISTINCT
    i.module_name, i.version, i.dependency_name, i.dependency_version, i.path,
    statement_timestamp()
FROM json_array_elements(%(versions)s::json) AS k
INNER JOIN {schema}.module_imports AS i
    ON i.module_name = k ->> 0 AND i.version = k ->> 1
WHERE i.status = 'resolved' AND i.dependency_name <> i.module_name
ON CONFLICT (module_name, version, dependency_name, import_path) DO NOTHING

-- name: drop_dependencies
-- Those of a version that no import of it needs any more.
DELETE FROM {schema}.module_dependencies AS d
WHERE d.module_name = %(name)s AND d.version = %(version)s AND NOT EXISTS (
    SELECT 1 FROM {schema}.module_imports AS i
    WHERE
        i.module_name = d.module_name AND i.version = d.version AND i.path = d.import_path AND i.status = 'resolved'
        AND i.dependency_name = d.dependency_name
)

-- name: add_requires
-- `requires`: a JSON list of module, constraint and locked version.
INSERT INTO {schema}.module_requires (module_name, version, dependency_name, required, locked)
SELECT
    %(name)s, %(version)s, r ->> 0, r ->> 1, r ->> 2
FROM json_array_elements(%(requires)s::json) AS r

-- name: requires_of
-- `versions`: a JSON list of names and versions.
SELECT r.module_name, r.version, r.dependency_name, r.required, r.locked
FROM json_array_elements(%(versions)s::json) AS k
INNER JOIN {schema}.module_requires AS r
    ON r.module_name = k ->> 0 AND r.version = k ->> 1

-- name: dependants
SELECT DISTINCT d.module_name, d.version
FROM {schema}.module_dependencies AS d
WHERE d.dependency_name = %(name)s AND d.dependency_version = %(version)s AND d.module_name <> %(name)s
ORDER BY d.module_name, d.version
LIMIT %(limit)s

-- name: whole_graph
-- slow
-- Every version with its state, and what it depends on: a row each, or one with NULL.
SELECT DISTINCT v.module_name, v.version, v.state, d.dependency_name, d.dependency_version
FROM {schema}.module_versions AS v
LEFT JOIN {schema}.module_dependencies AS d ON d.module_name = v.module_name AND d.version = v.version

-- name: graph_down
-- slow
-- As whole_graph, of what a module (in one version, or in all) depends on, directly or not.
WITH RECURSIVE reached (name, version) AS (
    SELECT v.module_name, v.version
    FROM {schema}.module_versions AS v
    WHERE v.module_name = %(name)s AND (%(version)s::text = '' OR v.version = %(version)s)
    UNION
    SELECT d.dependency_name, d.dependency_version
    FROM reached AS r
    INNER JOIN {schema}.module_dependencies AS d ON d.module_name = r.name AND d.version = r.version
)

SELECT DISTINCT v.module_name, v.version, v.state, d.dependency_name, d.dependency_version
FROM reached AS r
INNER JOIN {schema}.module_versions AS v ON v.module_name = r.name AND v.version = r.version
LEFT JOIN {schema}.module_dependencies AS d ON d.module_name = v.module_name AND d.version = v.version

-- name: graph_up
-- slow
-- As graph_down, of what depends on it.
WITH RECURSIVE reached (name, version) AS (
    SELECT v.module_name, v.version
    FROM {schema}.module_versions AS v
    WHERE v.module_name = %(name)s AND (%(version)s::text = '' OR v.version = %(version)s)
    UNION
    SELECT d.module_name, d.version
    FROM reached AS r
    INNER JOIN {schema}.module_dependencies AS d ON d.dependency_name = r.name AND d.dependency_version = r.version
)

SELECT DISTINCT v.module_name, v.version, v.state, d.dependency_name, d.dependency_version
FROM reached AS r
INNER JOIN {schema}.module_versions AS v ON v.module_name = r.name AND v.version = r.version
LEFT JOIN {schema}.module_dependencies AS d ON d.module_name = v.module_name AND d.version = v.version
