-- Writes of modules. Each changes the owner's row first, which holds up every other write of the module until its commit; `owner` is the
-- row_version that the owner got, and all that the write changes gets it too.

-- name: claim
-- columns: row_version AS owner_version
INSERT INTO {schema}.module_owners (name, row_version) VALUES (%(name)s, nextval('{schema}.row_version'))
ON CONFLICT (name) DO UPDATE SET row_version = nextval('{schema}.row_version')
RETURNING {columns}

-- name: touch
-- columns: row_version AS owner_version
UPDATE {schema}.module_owners SET row_version = nextval('{schema}.row_version') WHERE name = %(name)s
RETURNING {columns}

-- name: find
-- columns: {module_row of m}
SELECT {columns}
FROM {schema}.modules AS m
WHERE m.name = %(name)s

-- name: find_version
-- columns: {module_version_row of v},
--     (SELECT json_agg(json_build_array(l.path, l.size, l.digest))
--     FROM {schema}.module_files AS l
--     WHERE l.module_name = v.module_name AND l.version = v.version)::text AS files
SELECT {columns}
FROM {schema}.module_versions AS v
WHERE v.module_name = %(name)s AND v.version = %(version)s

-- name: create
-- columns: {module_row}
INSERT INTO {schema}.modules (name, metadata, row_version, created_at, updated_at)
VALUES (%(name)s, %(metadata)s::jsonb, %(owner)s, statement_timestamp(), statement_timestamp())
RETURNING {columns}

-- name: update
-- columns: {module_row}
UPDATE {schema}.modules SET metadata = %(metadata)s::jsonb, row_version = %(owner)s, updated_at = statement_timestamp()
WHERE name = %(name)s
RETURNING {columns}

-- name: delete
-- Its versions go with it.
DELETE FROM {schema}.modules WHERE name = %(name)s

-- name: states
SELECT DISTINCT v.state FROM {schema}.module_versions AS v WHERE v.module_name = %(name)s

-- name: versions
SELECT v.version FROM {schema}.module_versions AS v WHERE v.module_name = %(name)s

-- name: create_version
-- columns: {module_version_row}
INSERT INTO {schema}.module_versions (
    module_name, version, version_major, version_minor, version_patch, prerelease_key, build, state, metadata, digest, file_count,
    content_size, row_version, created_at, updated_at, published_at
)
VALUES (
    %(name)s, %(version)s, %(major)s, %(minor)s, %(patch)s, %(prerelease_key)s, %(build)s, %(state)s::text, %(metadata)s::jsonb,
    %(digest)s, %(file_count)s, %(content_size)s, %(owner)s, statement_timestamp(), statement_timestamp(),
    CASE WHEN %(state)s::text = 'published' THEN statement_timestamp() END
)
RETURNING {columns}

-- name: add_files
-- `files`: a JSON list of path, size and digest.
INSERT INTO {schema}.module_files (module_name, version, path, size, digest)
SELECT %(name)s, %(version)s, l ->> 0, (l ->> 1)::bigint, l ->> 2
FROM json_array_elements(%(files)s::json) AS l
ON CONFLICT (module_name, version, path) DO UPDATE SET size = excluded.size, digest = excluded.digest

-- name: remove_file
DELETE FROM {schema}.module_files WHERE module_name = %(name)s AND version = %(version)s AND path = %(path)s

-- name: change_version
-- columns: {module_version_row}
-- A version keeps the time at which it was published first.
UPDATE {schema}.module_versions
SET
    state = %(state)s::text, metadata = %(metadata)s::jsonb, digest = %(digest)s, file_count = %(file_count)s,
    content_size = %(content_size)s, deprecation_reason = %(deprecation_reason)s, replaced_by = %(replaced_by)s,
    row_version = %(owner)s, updated_at = statement_timestamp(),
    published_at = CASE WHEN %(state)s::text = 'published' THEN coalesce(published_at, statement_timestamp()) ELSE published_at END,
    deprecated_at = CASE %(state)s::text
        WHEN 'deprecated' THEN coalesce(deprecated_at, statement_timestamp())
        WHEN 'published' THEN NULL
        ELSE deprecated_at
    END,
    archived_at = CASE WHEN %(state)s::text = 'archived' THEN coalesce(archived_at, statement_timestamp()) END
WHERE module_name = %(name)s AND version = %(version)s
RETURNING {columns}

-- name: delete_version
-- Its files and dependencies go with it.
DELETE FROM {schema}.module_versions WHERE module_name = %(name)s AND version = %(version)s

-- name: note
INSERT INTO {schema}.module_audit (at, actor, action, module_name, version, request_id, detail)
VALUES (statement_timestamp(), %(actor)s, %(action)s, %(name)s, %(version)s, %(request_id)s, %(detail)s::jsonb)
