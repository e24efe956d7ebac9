-- Writes of schemas. Each changes the owner row first and the schema after it, in one statement: what the second part does waits for the
-- lock of the first, so that row_version rises in the order of the commits. An update that waited checks its conditions anew. Owners are
-- locked in their order, and `patience` (lock_timeout) says for how long a lock is waited for.
--
-- list: registered =
--     row.id::text AS id, row.row_version, (extract(epoch FROM row.created_at) * 1000000)::bigint AS created_at

-- name: register_many
-- columns: {registered}, (SELECT owner.row_version FROM owner WHERE owner.subject = schemas.subject) AS owner_version
-- What another transaction or an earlier item holds already is passed over: the caller looks at the ids that came back. `owners` is
-- sorted, and locks are taken in that order.
WITH owner AS (
    INSERT INTO {schema}.subjects (subject, row_version)
    SELECT t.subject, nextval('{schema}.row_version')
    FROM (SELECT set_config('lock_timeout', %(patience)s, true)) AS patience
    CROSS JOIN unnest(%(owners)s::text[]) AS t (subject)
    ON CONFLICT (subject) DO UPDATE SET row_version = nextval('{schema}.row_version')
    RETURNING subject, row_version
)
INSERT INTO {schema}.schemas (
    id, subject, version_major, version_minor, version_patch, prerelease, build, prerelease_key, schema_type, state, content,
    metadata, search_text, body, content_digest, content_size, placement, row_version, created_at, updated_at
)
SELECT
    i.id, i.subject, i.major, i.minor, i.patch, i.prerelease, i.build, i.prerelease_key, i.schema_type, i.state, i.content, i.metadata,
    i.search_text, i.body, i.digest, i.size, i.tier, nextval('{schema}.row_version'), statement_timestamp(), statement_timestamp()
FROM unnest(
    %(ids)s::uuid[], %(subjects)s::text[], %(majors)s::int[], %(minors)s::int[], %(patches)s::int[], %(prereleases)s::text[],
    %(builds)s::text[], %(prerelease_keys)s::bytea[], %(schema_types)s::text[], %(states)s::text[], %(contents)s::jsonb[],
    %(metadatas)s::jsonb[], %(search_texts)s::text[], %(bodies)s::bytea[], %(digests)s::text[], %(sizes)s::bigint[], %(tiers)s::text[]
) AS i (
    id, subject, major, minor, patch, prerelease, build, prerelease_key, schema_type, state, content, metadata, search_text, body,
    digest, size, tier
)
INNER JOIN owner ON owner.subject = i.subject
ON CONFLICT DO NOTHING
RETURNING {columns}

-- name: register
-- columns: {registered}, (SELECT owner.row_version FROM owner WHERE owner.subject = schemas.subject) AS owner_version
WITH owner AS (
    INSERT INTO {schema}.subjects (subject, row_version) VALUES (%(subject)s, nextval('{schema}.row_version'))
    ON CONFLICT (subject) DO UPDATE SET row_version = nextval('{schema}.row_version')
    RETURNING subject, row_version
)
INSERT INTO {schema}.schemas (
    id, subject, version_major, version_minor, version_patch, prerelease, build, prerelease_key, schema_type, state, content,
    metadata, search_text, body, content_digest, content_size, placement, row_version, created_at, updated_at
)
SELECT
    %(id)s::uuid, owner.subject, %(major)s, %(minor)s, %(patch)s, %(prerelease)s, %(build)s, %(prerelease_key)s, %(schema_type)s,
    %(state)s, %(content)s::jsonb, %(metadata)s::jsonb, %(search_text)s, %(body)s, %(digest)s, %(size)s, %(tier)s,
    nextval('{schema}.row_version'), statement_timestamp(), statement_timestamp()
FROM owner
ON CONFLICT DO NOTHING
RETURNING {columns}

-- name: find_versions
-- columns: {schema_info of s}, s.body, o.row_version AS owner_version
-- What stands in the way of a registration, deleted ones too.
SELECT {columns}
FROM unnest(
    %(subjects)s::text[], %(majors)s::int[], %(minors)s::int[], %(patches)s::int[], %(prereleases)s::text[]
) AS k (subject, major, minor, patch, prerelease)
INNER JOIN {schema}.schemas AS s ON
    s.subject = k.subject AND s.version_major = k.major AND s.version_minor = k.minor AND s.version_patch = k.patch
    AND s.prerelease = k.prerelease
INNER JOIN {schema}.subjects AS o ON o.subject = s.subject

-- name: find
-- columns: {schema_info of s}, s.body, o.row_version AS owner_version, s.purged_at IS NOT NULL AS is_purged
-- Schemas as they stand, whatever their state; tombstones too.
SELECT {columns}
FROM {schema}.schemas AS s
INNER JOIN {schema}.subjects AS o ON o.subject = s.subject
WHERE s.id = ANY(%(ids)s::uuid[])

-- name: edit
-- columns: {schema_info of s}, CASE WHEN e.action <> 'delete' THEN s.body END AS body, owner.row_version AS owner_version
-- Changes of state, deletions and restorations, each of another schema. One whose conditions do not hold is passed over: the caller
-- looks at the ids that came back. The content is not answered for what was deleted.
WITH asked AS (
    SELECT e.*
    FROM (SELECT set_config('lock_timeout', %(patience)s, true)) AS patience
    CROSS JOIN json_to_recordset(%(edits)s::json) AS e (
        id uuid, action text, state text, origins text[], reason text, expected bigint
    )
),
owner AS (
    INSERT INTO {schema}.subjects (subject, row_version)
    SELECT t.subject, nextval('{schema}.row_version')
    FROM (SELECT DISTINCT i.subject FROM asked AS a INNER JOIN {schema}.schemas AS i ON i.id = a.id ORDER BY i.subject) AS t
    ON CONFLICT (subject) DO UPDATE SET row_version = nextval('{schema}.row_version')
    RETURNING subject, row_version
)
UPDATE {schema}.schemas AS s
SET
    row_version = nextval('{schema}.row_version'), updated_at = statement_timestamp(),
    state = coalesce(e.state, s.state),
    metadata = CASE WHEN e.reason IS NULL THEN s.metadata ELSE s.metadata || jsonb_build_object('state_reason', e.reason) END,
    deleted_at = CASE e.action WHEN 'delete' THEN statement_timestamp() WHEN 'restore' THEN NULL ELSE s.deleted_at END
FROM asked AS e, owner
WHERE
    s.id = e.id AND s.subject = owner.subject
    AND (e.expected IS NULL OR s.row_version = e.expected)
    AND CASE e.action
        WHEN 'state' THEN s.deleted_at IS NULL AND s.state = ANY(e.origins)
        WHEN 'delete' THEN s.deleted_at IS NULL
        ELSE s.deleted_at IS NOT NULL AND s.purged_at IS NULL
    END
RETURNING {columns}

-- name: purge
-- columns: {schema_info of s}, s.body, owner.row_version AS owner_version
-- Leaves a tombstone: the id stays taken, the version is free.
WITH owner AS (
    UPDATE {schema}.subjects SET row_version = nextval('{schema}.row_version')
    WHERE subject = (SELECT i.subject FROM {schema}.schemas AS i WHERE i.id = %(id)s::uuid)
    RETURNING subject, row_version
)
UPDATE {schema}.schemas AS s
SET
    row_version = nextval('{schema}.row_version'), updated_at = statement_timestamp(),
    deleted_at = coalesce(s.deleted_at, statement_timestamp()), purged_at = statement_timestamp(), prerelease = NULL, body = NULL, content = '{}', metadata = '{}', search_text = ''
FROM owner
WHERE
    s.id = %(id)s::uuid AND s.subject = owner.subject AND s.purged_at IS NULL
RETURNING {columns}
