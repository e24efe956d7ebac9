-- oldest_code: 1
--
-- The same tables and columns as on PostgreSQL; read the head of its 001_initial_schema.up.sql for what they mean, and that of
-- 000_protocol.up.sql for what differs. schemas.seq is the rowid that schemas_fts refers to.

CREATE TABLE subjects (
    subject TEXT PRIMARY KEY CHECK (length(subject) <= 255),
    row_version INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE schemas (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    subject TEXT NOT NULL REFERENCES subjects (subject) CHECK (length(subject) <= 255),
    version_major INTEGER NOT NULL CHECK (version_major >= 0),
    version_minor INTEGER NOT NULL CHECK (version_minor >= 0),
    version_patch INTEGER NOT NULL CHECK (version_patch >= 0),
    prerelease TEXT,
    build TEXT NOT NULL DEFAULT '',
    prerelease_key BLOB NOT NULL,
    schema_type TEXT NOT NULL CHECK (length(schema_type) <= 50),
    state TEXT NOT NULL DEFAULT 'active',
    content TEXT NOT NULL CHECK (json_valid(content)),
    metadata TEXT NOT NULL CHECK (json_valid(metadata)),
    description TEXT NOT NULL GENERATED ALWAYS AS (coalesce(json_extract(metadata, '$.description'), '')) STORED,
    search_text TEXT NOT NULL DEFAULT '',
    content_digest TEXT NOT NULL,
    content_size INTEGER NOT NULL CHECK (content_size >= 0),
    placement TEXT NOT NULL,
    row_version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    deleted_at INTEGER,
    purged_at INTEGER,
    -- Last: a column after a large one can only be reached through its overflow pages.
    body BLOB,
    CONSTRAINT unique_subject_version UNIQUE (subject, version_major, version_minor, version_patch, prerelease),
    CONSTRAINT schemas_state CHECK (state IN ('draft', 'active', 'deprecated', 'disabled', 'archived')),
    CONSTRAINT schemas_tier CHECK (placement IN ('inline', 'row', 'object')),
    CONSTRAINT schemas_purged CHECK ((purged_at IS NULL) = (prerelease IS NOT NULL)),
    CONSTRAINT schemas_purged_is_deleted CHECK (purged_at IS NULL OR deleted_at IS NOT NULL),
    CONSTRAINT schemas_body CHECK ((body IS NOT NULL) = (placement = 'inline' AND purged_at IS NULL))
);

CREATE VIEW subject_versions AS
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
FROM schemas AS s
WHERE s.deleted_at IS NULL;

CREATE TRIGGER schemas_version_rises BEFORE UPDATE ON schemas
WHEN NEW.row_version < OLD.row_version
BEGIN
    SELECT raise(ABORT, 'row_version must rise');
END;
CREATE TRIGGER subjects_version_rises BEFORE UPDATE ON subjects
WHEN NEW.row_version < OLD.row_version
BEGIN
    SELECT raise(ABORT, 'row_version must rise');
END;
