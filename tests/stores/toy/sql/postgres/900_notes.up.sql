-- oldest_code: 0
CREATE TABLE {schema}.notes (
    id TEXT PRIMARY KEY,
    text TEXT NOT NULL,
    reads BIGINT NOT NULL DEFAULT 0,
    row_version BIGINT NOT NULL
);
