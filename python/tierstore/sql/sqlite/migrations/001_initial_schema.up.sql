-- oldest_code: 1
--
-- The same tables and columns as on PostgreSQL; read the head of its 001_initial_schema.up.sql for what they mean. What differs:
--
-- times          integer microseconds since the epoch (UTC); the database's own clock:
--                CAST(unixepoch('subsec') …) needs SQLite 3.42, so: CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER).
-- ids            canonical text. schemas.seq is the rowid that schemas_fts refers to.
-- row_version    one counter row. The driver raises it by one when a write transaction begins, so a statement writes
--                (SELECT value FROM row_version); there is one writer, and all rows of one transaction share a version.
-- json           text, checked by json_valid; lists arrive as JSON text and are read with json_each.
-- outbox         keys and versions are JSON arrays; there is no xid: ids are given in commit order, without gaps.
-- blob_uploads   is not here: it is in staging.db, which Records.aside() opens (see 001 there: sql/sqlite/staging.sql).

CREATE TABLE row_version (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    value INTEGER NOT NULL
);
INSERT INTO row_version (only_row, value) VALUES (1, 0);

CREATE TABLE tierstore_meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO tierstore_meta (key, value) VALUES ('identity', lower(hex(randomblob(16))));

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

CREATE TABLE blobs (
    digest TEXT PRIMARY KEY,
    size INTEGER NOT NULL CHECK (size >= 0),
    tier TEXT NOT NULL CHECK (tier IN ('row', 'object')),
    state TEXT NOT NULL DEFAULT 'live' CHECK (state IN ('live', 'doomed')),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE blob_chunks (
    digest TEXT NOT NULL REFERENCES blobs (digest) ON DELETE CASCADE,
    seq INTEGER NOT NULL CHECK (seq >= 0),
    bytes BLOB NOT NULL,
    PRIMARY KEY (digest, seq)
);

CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    keys TEXT NOT NULL CHECK (json_valid(keys)),
    versions TEXT NOT NULL CHECK (json_valid(versions)),
    created_at INTEGER NOT NULL,
    delivered_at INTEGER
);
CREATE INDEX idx_outbox_undelivered ON outbox (id) WHERE delivered_at IS NULL;

CREATE TABLE idempotency (
    key TEXT PRIMARY KEY,
    request TEXT NOT NULL,
    result TEXT NOT NULL CHECK (json_valid(result)),
    created_at INTEGER NOT NULL
);
CREATE INDEX idx_idempotency_created ON idempotency (created_at);

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
