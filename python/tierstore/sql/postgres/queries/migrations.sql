-- Which migrations have been applied.

-- name: create_table
CREATE TABLE IF NOT EXISTS {schema}.tierstore_migrations (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    checksum TEXT NOT NULL,
    oldest_code INTEGER NOT NULL,
    applied_at TIMESTAMPTZ NOT NULL
);

-- name: exists
SELECT count(*) FROM pg_tables WHERE schemaname = {schema_text} AND tablename = 'tierstore_migrations';

-- name: applied
SELECT number, name, checksum, oldest_code, (extract(EPOCH FROM applied_at) * 1000000)::bigint FROM {schema}.tierstore_migrations ORDER BY number;

-- name: record
INSERT INTO {schema}.tierstore_migrations (number, name, checksum, oldest_code, applied_at)
VALUES (%(number)s, %(name)s, %(checksum)s, %(oldest_code)s, now());

-- name: forget
DELETE FROM {schema}.tierstore_migrations WHERE number = %(number)s;
