-- What the protocol of the tiers asks of the engine itself.
--
-- The columns of a fenced read, over its snapshot. A LEFT JOIN keeps them when nothing is found.
-- list: fence =
--     pg_snapshot_xmin(row.snapshot)::text::bigint AS as_of, pg_snapshot_xmax(row.snapshot)::text::bigint AS ceiling

-- name: configure
-- For each new connection. Compiling (jit) costs more than any of our queries takes.
SELECT
    set_config('search_path', %(path)s, false),
    set_config('statement_timeout', %(timeout)s, false),
    set_config('jit', 'off', false),
    set_config('timezone', 'UTC', false);

-- name: next_version
-- nothing
-- A statement takes its versions from the sequence.

-- name: fence
SELECT pg_current_xact_id()::text::bigint;

-- name: position
SELECT pg_current_wal_insert_lsn()::text;

-- name: replayed
SELECT coalesce(pg_last_wal_replay_lsn() >= %(position)s::pg_lsn, false);

-- name: identity
SELECT concat_ws(
    '-',
    (SELECT c.system_identifier FROM pg_control_system() AS c),
    substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8),
    (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database()),
    (SELECT m.value FROM {schema}.tierstore_meta AS m WHERE m.key = 'identity')
);

-- name: server
SELECT current_setting('server_version');

-- name: connection_limit
SELECT current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer;

-- name: try_exclusive
SELECT pg_try_advisory_lock(hashtext('tierstore migrations'), hashtext({schema_text}));

-- name: claim_key
-- Waits for another transaction that claims the key, and changes nothing if that commits.
INSERT INTO {schema}.idempotency (key, request, result) VALUES (%(key)s, %(request)s, '[]')
ON CONFLICT (key) DO NOTHING;

-- name: keep_answer
UPDATE {schema}.idempotency SET result = %(result)s::jsonb WHERE key = %(key)s;

-- name: recall
SELECT request, result::text FROM {schema}.idempotency WHERE key = %(key)s;

-- name: forget
DELETE FROM {schema}.idempotency WHERE key IN (
    SELECT key FROM {schema}.idempotency WHERE created_at < now() - make_interval(secs => %(keep_s)s)
    LIMIT %(limit)s FOR UPDATE SKIP LOCKED
);
