-- oldest_code: 0
CREATE TABLE notes (
    id TEXT PRIMARY KEY,
    text TEXT NOT NULL,
    reads INTEGER NOT NULL DEFAULT 0,
    row_version INTEGER NOT NULL
);
