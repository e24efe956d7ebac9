-- oldest_code: 1
--
-- The same tables and columns as on PostgreSQL; read the head of its 004_state.up.sql for what they mean. Times are milliseconds since the
-- epoch (UTC), by the clock of the process that writes. state_changes.id is given in commit order, without gaps, for the newest row is
-- never removed.

CREATE TABLE state (
    key TEXT PRIMARY KEY,
    value BLOB NOT NULL,
    etag TEXT NOT NULL,
    expires_at INTEGER
);
CREATE INDEX idx_state_expires_at ON state (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE state_changes (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('set', 'delete', 'expire')),
    etag TEXT,
    expires_at INTEGER,
    changed_at INTEGER NOT NULL
);
