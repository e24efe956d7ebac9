-- oldest_code: 0
--
-- The same tables and columns as on PostgreSQL; read the head of its 000_protocol.up.sql for what they mean. What differs:
--
-- times          integer microseconds since the epoch (UTC); the database's own clock:
--                CAST(unixepoch('subsec') …) needs SQLite 3.42, so: CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER).
-- ids            canonical text.
-- row_version    one counter row. The driver raises it by one when a write transaction begins, so a statement writes
--                (SELECT value FROM row_version); there is one writer, and all rows of one transaction share a version.
-- json           text, checked by json_valid; lists arrive as JSON text and are read with json_each.
-- outbox         keys and versions are JSON arrays; there is no xid: ids are given in commit order, without gaps.
-- blob_uploads   is not here: it is in staging.db, which Records.aside() opens (sql/sqlite/staging.sql).

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
