-- Which migrations have been applied.

-- name: create_table
CREATE TABLE IF NOT EXISTS tierstore_migrations (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    checksum TEXT NOT NULL,
    oldest_code INTEGER NOT NULL,
    applied_at INTEGER NOT NULL
);

-- name: exists
SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'tierstore_migrations';

-- name: applied
SELECT number, name, checksum, oldest_code, applied_at FROM tierstore_migrations ORDER BY number;

-- name: record
INSERT INTO tierstore_migrations (number, name, checksum, oldest_code, applied_at)
VALUES (:number, :name, :checksum, :oldest_code, CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER));

-- name: forget
DELETE FROM tierstore_migrations WHERE number = :number;
