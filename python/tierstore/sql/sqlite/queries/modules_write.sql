-- Writes of modules. Each changes the owner's row first; `owner` is the row_version that the owner got, and all that the write changes gets
-- it too. A transaction that writes twice takes another row_version each time.

-- name: claim
-- first: protocol.next_version
-- columns: row_version AS owner_version
INSERT INTO module_owners (name, row_version) VALUES (:name, (SELECT value FROM row_version))
ON CONFLICT (name) DO UPDATE SET row_version = (SELECT value FROM row_version)
RETURNING {columns}

-- name: touch
-- first: protocol.next_version
-- columns: row_version AS owner_version
UPDATE module_owners SET row_version = (SELECT value FROM row_version)
WHERE name = :name
RETURNING {columns}

-- name: find
-- columns: {module_row of m}
SELECT {columns}
FROM modules AS m
WHERE m.name = :name

-- name: find_version
-- columns: {module_version_row of v},
--     (SELECT json_group_array(json_array(l.path, l.size, l.digest))
--     FROM module_files AS l
--     WHERE l.module_name = v.module_name AND l.version = v.version) AS files
SELECT {columns}
FROM module_versions AS v
WHERE v.module_name = :name AND v.version = :version

-- name: create
-- columns: {module_row}
INSERT INTO modules (name, metadata, row_version, created_at, updated_at)
VALUES (
    :name, :metadata, :owner,
    CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER),
    CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER)
)
RETURNING {columns}

-- name: update
-- columns: {module_row}
UPDATE modules
SET metadata = :metadata, row_version = :owner, updated_at = CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER)
WHERE name = :name
RETURNING {columns}

-- name: delete
-- Its versions go with it.
DELETE FROM modules WHERE name = :name

-- name: states
SELECT DISTINCT v.state FROM module_versions AS v WHERE v.module_name = :name

-- name: versions
SELECT v.version FROM module_versions AS v WHERE v.module_name = :name

-- name: create_version
-- columns: {module_version_row}
INSERT INTO module_versions (
    module_name, version, version_major, version_minor, version_patch, prerelease_key, build, state, metadata, digest, file_count,
    content_size, row_version, created_at, updated_at, published_at
)
VALUES (
    :name, :version, :major, :minor, :patch, :prerelease_key, :build, :state, :metadata,
    :digest, :file_count, :content_size, :owner,
    CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER),
    CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER),
    CASE WHEN :state = 'published' THEN CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER) END
)
RETURNING {columns}

-- name: add_files
-- `files`: a JSON list of path, size and digest.
INSERT INTO module_files (module_name, version, path, size, digest)
SELECT :name, :version, json_extract(l.value, '$[0]'), json_extract(l.value, '$[1]'), json_extract(l.value, '$[2]')
FROM json_each(:files) AS l
WHERE TRUE
ON CONFLICT (module_name, version, path) DO UPDATE SET size = excluded.size, digest = excluded.digest

-- name: remove_file
DELETE FROM module_files WHERE module_name = :name AND version = :version AND path = :path

-- name: change_version
-- columns: {module_version_row}
-- A version keeps the time at which it was published first.
UPDATE module_versions AS v
SET
    state = :state, metadata = :metadata, digest = :digest, file_count = :file_count, content_size = :content_size,
    deprecation_reason = :deprecation_reason, replaced_by = :replaced_by, row_version = :owner, updated_at = t.now,
    published_at = CASE WHEN :state = 'published' THEN coalesce(v.published_at, t.now) ELSE v.published_at END,
    deprecated_at = CASE :state
        WHEN 'deprecated' THEN coalesce(v.deprecated_at, t.now)
        WHEN 'published' THEN NULL
        ELSE v.deprecated_at
    END,
    archived_at = CASE WHEN :state = 'archived' THEN coalesce(v.archived_at, t.now) END
FROM (SELECT CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER) AS now) AS t
WHERE v.module_name = :name AND v.version = :version
RETURNING {columns}

-- name: delete_version
-- Its files and dependencies go with it.
DELETE FROM module_versions WHERE module_name = :name AND version = :version

-- name: note
INSERT INTO module_audit (at, actor, action, module_name, version, request_id, detail)
VALUES (CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER), :actor, :action, :name, :version, :request_id, :detail)
