-- oldest_code: 1
--
-- What the columns mean, for whoever writes queries. (The SQLite twin has the same names; differences are said there.)
--
-- subjects       The owner rows of schemas: INSERT INTO subjects … ON CONFLICT (subject) DO UPDATE SET row_version =
--                nextval('row_version'). Latest, lists and absence of a subject carry subjects.row_version.
-- schemas        id: canonical UUIDv7. version_*: semver's three parts. prerelease: '' for a release. build: no part of identity.
--                prerelease_key: orders pre-releases as semver does, bytewise; a release is \xff.
--                state: draft, active, deprecated, disabled, archived.
--                metadata: the caller's mapping with "tags" (a list of strings) and "description" (a string) in it; the column
--                description is generated from it.
--                content: a projection for search only, '{}' where the document is large or JSONB cannot hold it.
--                placement says where the exact bytes are: inline (column body), row (blob_chunks), object (the object store).
--                content_digest: hex SHA-256; content_size: bytes.
--                search_text: the core's distinct identifiers of the content, lower case.
--                deleted_at: soft deletion. purged_at: a tombstone: body is NULL, content '{}', search_text '', and prerelease is
--                NULL so that the version is free for another id (NULLs do not collide in unique_subject_version; the text is
--                still in prerelease_key). A purged row is always deleted too.

-- Two stores in two schemas of one database may come here at once, and IF NOT EXISTS alone lets both try.
SELECT pg_advisory_xact_lock(hashtext('tierstore extension'));
CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA {trgm};

-- COLLATE "C": subjects are ordered by their bytes, as on SQLite, and a prefix search can use the key.
CREATE TABLE {schema}.subjects (
    subject VARCHAR(255) COLLATE "C" PRIMARY KEY,
    row_version BIGINT NOT NULL
);

CREATE TABLE {schema}.schemas (
    id UUID PRIMARY KEY,
    subject VARCHAR(255) COLLATE "C" NOT NULL REFERENCES {schema}.subjects (subject),
    version_major INTEGER NOT NULL CHECK (version_major >= 0),
    version_minor INTEGER NOT NULL CHECK (version_minor >= 0),
    version_patch INTEGER NOT NULL CHECK (version_patch >= 0),
    prerelease TEXT COLLATE "C",
    build TEXT NOT NULL DEFAULT '',
    prerelease_key BYTEA NOT NULL,
    schema_type VARCHAR(50) NOT NULL,
    state VARCHAR(20) NOT NULL DEFAULT 'active',
    content JSONB NOT NULL,
    metadata JSONB NOT NULL,
    description TEXT NOT NULL GENERATED ALWAYS AS (coalesce(metadata ->> 'description', '')) STORED,
    search_text TEXT NOT NULL DEFAULT '',
    body BYTEA,
    content_digest TEXT NOT NULL,
    content_size BIGINT NOT NULL CHECK (content_size >= 0),
    placement VARCHAR(10) NOT NULL,
    row_version BIGINT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    deleted_at TIMESTAMPTZ,
    purged_at TIMESTAMPTZ,
    CONSTRAINT unique_subject_version UNIQUE (subject, version_major, version_minor, version_patch, prerelease),
    CONSTRAINT schemas_state CHECK (state IN ('draft', 'active', 'deprecated', 'disabled', 'archived')),
    CONSTRAINT schemas_tier CHECK (placement IN ('inline', 'row', 'object')),
    CONSTRAINT schemas_purged CHECK ((purged_at IS NULL) = (prerelease IS NOT NULL)),
    CONSTRAINT schemas_purged_is_deleted CHECK (purged_at IS NULL OR deleted_at IS NOT NULL),
    CONSTRAINT schemas_body CHECK ((body IS NOT NULL) = (placement = 'inline' AND purged_at IS NULL))
);
-- Bodies are often compressed already or read whole: no second compression.
ALTER TABLE {schema}.schemas ALTER COLUMN body SET STORAGE EXTERNAL;

-- Every version of a subject that is not deleted, newest first within a subject where the reader orders by the parts descending.
CREATE VIEW {schema}.subject_versions AS
SELECT
    s.subject,
    s.version_major,
    s.version_minor,
    s.version_patch,
    s.prerelease,
    s.build,
    s.prerelease_key,
    s.id,
    s.schema_type,
    s.state,
    s.row_version,
    s.created_at
FROM {schema}.schemas AS s
WHERE s.deleted_at IS NULL;

CREATE TRIGGER schemas_version_rises BEFORE UPDATE ON {schema}.schemas
FOR EACH ROW EXECUTE FUNCTION {schema}.refuse_older_version();
CREATE TRIGGER subjects_version_rises BEFORE UPDATE ON {schema}.subjects
FOR EACH ROW EXECUTE FUNCTION {schema}.refuse_older_version();
