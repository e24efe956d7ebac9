-- What the protocol of the tiers asks of the engine itself.
--
-- The columns of a fenced read, over its snapshot. A LEFT JOIN keeps them when nothing is found.
-- list: fence =
--     pg_snapshot_xmin(row.snapshot)::text::bigint AS as_of, pg_snapshot_xmax(row.snapshot)::text::bigint AS ceiling
-- Which database this is: the server's own number, its timeline, the database, and the random name that its tables were given.
-- list: identity =
--     concat_ws(
--     '-',
--     (SELECT c.system_identifier FROM pg_control_system() AS c),
--     substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8),
--     (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database()),
--     (SELECT m.value FROM {schema}.tierstore_meta AS m WHERE m.key = 'identity')
--     ) AS identity

-- name: configure
-- For each new connection, and for its session, but only where the server's process is the one that the connection was given (or 0,
-- any): behind a pooler it would be set for others, and the answer is no row. Compiling (jit) costs more than any of our queries takes.
SELECT set_config('statement_timeout', %(timeout)s, false), set_config('jit', 'off', false)
WHERE %(backend)s::integer IN (0, pg_backend_pid());

-- name: limits
-- The same for one transaction, where the session is not ours.
SELECT set_config('statement_timeout', %(timeout)s, true), set_config('jit', 'off', true);

-- name: surroundings
-- Where the tables and the extension are, or shall be: whether the schema is there, whether this role may use it and what the role is
-- called, and the schema of pg_trgm; where it is not installed yet, the one that it will be put into.
SELECT
    n.oid IS NOT NULL,
    coalesce(has_schema_privilege(n.oid, 'USAGE'), FALSE),
    current_user::text,
    coalesce(
        (SELECT t.nspname FROM pg_extension AS e INNER JOIN pg_namespace AS t ON t.oid = e.extnamespace WHERE e.extname = 'pg_trgm'),
        (SELECT p.nspname FROM pg_namespace AS p WHERE p.nspname = 'public'),
        {schema_text}
    )::text
FROM (VALUES (1)) AS one (one)
LEFT JOIN pg_namespace AS n ON n.nspname = {schema_text};

-- name: create_schema
CREATE SCHEMA IF NOT EXISTS {schema};

-- name: hold
-- Before the lock of the migrations: its transaction stays idle while they run.
SELECT
    set_config('idle_in_transaction_session_timeout', '0', true),
    CASE WHEN current_setting('transaction_timeout', true) IS NOT NULL THEN set_config('transaction_timeout', '0', true) END;

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
-- columns: {identity}
SELECT {columns};

-- name: server
SELECT current_setting('server_version');

-- name: connection_limit
SELECT current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer;

-- name: try_exclusive
-- The lock ends with the transaction, so it is kept where connections are shared. Where another has it: who, and since when.
SELECT t.got, h.pid, h.name, h.address, h.since
FROM (SELECT pg_try_advisory_xact_lock(hashtext('tierstore migrations'), hashtext({schema_text})) AS got) AS t
LEFT JOIN LATERAL (
    SELECT
        l.pid, coalesce(a.application_name, '') AS name, coalesce(host(a.client_addr), '') AS address,
        to_char(a.xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS since
    FROM pg_locks AS l
    LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
    WHERE
        NOT t.got AND l.locktype = 'advisory' AND l.granted AND l.objsubid = 2
        AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
        AND l.classid = (hashtext('tierstore migrations')::bigint & 4294967295)::oid
        AND l.objid = (hashtext({schema_text})::bigint & 4294967295)::oid
    LIMIT 1
) AS h ON TRUE;

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
