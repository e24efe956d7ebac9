-- What the files of a version import, and what follows from it.

-- name: lock
-- There is one writer at a time.
SELECT 1

-- name: imports_of
-- columns: i.id, i.file, i.path, i.kind, i.line, i."column" AS line_column, i.status, i.error, i.dependency_name, i.dependency_version
SELECT {columns}
FROM module_imports AS i
WHERE i.module_name = :name AND i.version = :version
ORDER BY i.file, i.line, i."column", i.id

-- name: add_imports
-- `imports`: a JSON list of file, path, kind, line, column, status, error, and the module and version that it is bound to.
INSERT INTO module_imports (
    module_name, version, file, path, kind, line, "column", status, error, dependency_name, dependency_version
)
SELECT
    :name, :version, json_extract(i.value, '$[0]'), json_extract(i.value, '$[1]'), json_extract(i.value, '$[2]'),
    json_extract(i.value, '$[3]'), json_extract(i.value, '$[4]'), json_extract(i.value, '$[5]'), json_extract(i.value, '$[6]'),
    json_extract(i.value, '$[7]'), json_extract(i.value, '$[8]')
FROM json_each(:imports) AS i

-- name: remove_imports
-- Those of one file.
DELETE FROM module_imports WHERE module_name = :name AND version = :version AND file = :file

-- name: bind
-- `bound`: a JSON list of id, status, error, module and version.
UPDATE module_imports AS i
SET status = b.status, error = b.error, dependency_name = b.dependency_name, dependency_version = b.dependency_version
FROM (
    SELECT
        json_extract(j.value, '$[0]') AS id, json_extract(j.value, '$[1]') AS status, json_extract(j.value, '$[2]') AS error,
        json_extract(j.value, '$[3]') AS dependency_name, json_extract(j.value, '$[4]') AS dependency_version
    FROM json_each(:bound) AS j
) AS b
WHERE i.id = b.id

-- name: holders
-- Who has a file of these paths in a version that may be used.
SELECT f.path, f.module_name, f.version, v.state
FROM module_files AS f
INNER JOIN module_versions AS v ON v.module_name = f.module_name AND v.version = f.version
WHERE f.path IN (SELECT value FROM json_each(:paths)) AND v.state IN ('published', 'deprecated')

-- name: waiting
-- Unresolved imports of these paths, by id, a batch at a time.
SELECT i.id, i.module_name, i.version, i.path, i.error
FROM module_imports AS i
WHERE i.status = 'unresolved' AND i.path IN (SELECT value FROM json_each(:paths)) AND i.id > :after
ORDER BY i.id
LIMIT :limit

-- name: project
-- `versions`: a JSON list of names and versions whose resolved imports of other modules become dependencies, each once.
INSERT INTO module_dependencies (module_name, version, dependency_name, dependency_version, import_path, created_at)
SELECT DISTINCT
    i.module_name, i.version, i.dependency_name, i.dependency_version, i.path,
    CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER)
FROM json_each(:versions) AS k
INNER JOIN module_imports AS i
    ON i.module_name = json_extract(k.value, '$[0]') AND i.version = json_extract(k.value, '$[1]')
WHERE i.status = 'resolved' AND i.dependency_name <> i.module_name
ON CONFLICT (module_name, version, dependency_name, import_path) DO NOTHING

-- name: drop_dependencies
-- Those of a version that no import of it needs any more.
DELETE FROM module_dependencies AS d
WHERE d.module_name = :name AND d.version = :version AND NOT EXISTS (
    SELECT 1 FROM module_imports AS i
    WHERE
        i.module_name = d.module_name AND i.version = d.version AND i.path = d.import_path AND i.status = 'resolved'
        AND i.dependency_name = d.dependency_name
)

-- name: add_requires
-- `requires`: a JSON list of module, constraint and locked version.
INSERT INTO module_requires (module_name, version, dependency_name, required, locked)
SELECT
    :name, :version, json_extract(r.value, '$[0]'), json_extract(r.value, '$[1]'), json_extract(r.value, '$[2]')
FROM json_each(:requires) AS r

-- name: requires_of
-- `versions`: a JSON list of names and versions.
SELECT r.module_name, r.version, r.dependency_name, r.required, r.locked
FROM json_each(:versions) AS k
INNER JOIN module_requires AS r
    ON r.module_name = json_extract(k.value, '$[0]') AND r.version = json_extract(k.value, '$[1]')

-- name: dependants
SELECT DISTINCT d.module_name, d.version
FROM module_dependencies AS d
WHERE d.dependency_name = :name AND d.dependency_version = :version AND d.module_name <> :name
ORDER BY d.module_name, d.version
LIMIT :limit

-- name: whole_graph
-- slow
-- Every version with its state, and what it depends on: a row each, or one with NULL.
SELECT DISTINCT v.module_name, v.version, v.state, d.dependency_name, d.dependency_version
FROM module_versions AS v
LEFT JOIN module_dependencies AS d ON d.module_name = v.module_name AND d.version = v.version

-- name: graph_down
-- slow
-- As whole_graph, of what a module (in one version, or in all) depends on, directly or not.
WITH RECURSIVE reached (name, version) AS (
    SELECT v.module_name, v.version
    FROM module_versions AS v
    WHERE v.module_name = :name AND (:version = '' OR v.version = :version)
    UNION
    SELECT d.dependency_name, d.dependency_version
    FROM reached AS r
    INNER JOIN module_dependencies AS d ON d.module_name = r.name AND d.version = r.version
)

SELECT DISTINCT v.module_name, v.version, v.state, d.dependency_name, d.dependency_version
FROM reached AS r
INNER JOIN module_versions AS v ON v.module_name = r.name AND v.version = r.version
LEFT JOIN module_dependencies AS d ON d.module_name = v.module_name AND d.version = v.version

-- name: graph_up
-- slow
-- As graph_down, of what depends on it.
WITH RECURSIVE reached (name, version) AS (
    SELECT v.module_name, v.version
    FROM module_versions AS v
    WHERE v.module_name = :name AND (:version = '' OR v.version = :version)
    UNION
    SELECT d.module_name, d.version
    FROM reached AS r
    INNER JOIN module_dependencies AS d ON d.dependency_name = r.name AND d.dependency_version = r.version
)

SELECT DISTINCT v.module_name, v.version, v.state, d.dependency_name, d.dependency_version
FROM reached AS r
INNER JOIN module_versions AS v ON v.module_name = r.name AND v.version = r.version
LEFT JOIN module_dependencies AS d ON d.module_name = v.module_name AND d.version = v.version
