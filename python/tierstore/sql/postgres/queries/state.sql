-- Values under keys (state), with an end and an etag. What has ended counts as absent, whether it is removed already or not.
--
-- Each write tells its changes in the same statement. A change gets its id when the row of its key is locked, so the ids of one key rise
-- with its changes. ttl_ms: milliseconds from now, 0 for no end, -1 to keep the end that is there.

-- name: get
SELECT value, etag FROM {schema}.state
WHERE key = %(key)s AND (expires_at IS NULL OR expires_at > statement_timestamp());

-- name: get_many
SELECT key, value, etag FROM {schema}.state
WHERE key = ANY(%(keys)s::text[]) AND (expires_at IS NULL OR expires_at > statement_timestamp());

-- name: look
SELECT value, etag, (extract(EPOCH FROM expires_at) * 1000)::bigint FROM {schema}.state
WHERE key = %(key)s AND (expires_at IS NULL OR expires_at > statement_timestamp());

-- name: left
SELECT (extract(EPOCH FROM expires_at - statement_timestamp()) * 1000)::bigint FROM {schema}.state
WHERE key = %(key)s AND (expires_at IS NULL OR expires_at > statement_timestamp());

-- name: put_many
-- Keys in their order, each once: so two that write the same ones wait for each other and never in a circle.
WITH put AS (
    INSERT INTO {schema}.state AS s (key, value, etag, expires_at)
    SELECT
        g.key, g.value, g.etag,
        CASE WHEN g.ttl_ms > 0 THEN statement_timestamp() + g.ttl_ms * INTERVAL '1 millisecond' END
    FROM (SELECT set_config('lock_timeout', %(patience)s, true)) AS patience
    CROSS JOIN unnest(%(keys)s::text[], %(bodies)s::bytea[], %(etags)s::text[], %(ttls)s::bigint[]) AS g (key, value, etag, ttl_ms)
    ON CONFLICT (key) DO UPDATE SET value = excluded.value, etag = excluded.etag, expires_at = excluded.expires_at
    RETURNING s.key, s.etag, s.expires_at
)
INSERT INTO {schema}.state_changes (key, kind, etag, expires_at) SELECT p.key, 'set', p.etag, p.expires_at FROM put AS p;

-- name: put_keep
-- Whatever is there, with the end that it has.
WITH put AS (
    INSERT INTO {schema}.state AS s (key, value, etag) VALUES (%(key)s, %(body)s, %(etag)s)
    ON CONFLICT (key) DO UPDATE SET
        value = excluded.value, etag = excluded.etag,
        expires_at = CASE WHEN s.expires_at > statement_timestamp() THEN s.expires_at END
    RETURNING s.key, s.etag, s.expires_at
)
INSERT INTO {schema}.state_changes (key, kind, etag, expires_at) SELECT p.key, 'set', p.etag, p.expires_at FROM put AS p
RETURNING etag;

-- name: put_absent
WITH put AS (
    INSERT INTO {schema}.state AS s (key, value, etag, expires_at)
    VALUES (
        %(key)s, %(body)s, %(etag)s,
        CASE WHEN %(ttl_ms)s::bigint > 0 THEN statement_timestamp() + %(ttl_ms)s::bigint * INTERVAL '1 millisecond' END
    )
    ON CONFLICT (key) DO UPDATE SET value = excluded.value, etag = excluded.etag, expires_at = excluded.expires_at
    WHERE s.expires_at <= statement_timestamp()
    RETURNING s.key, s.etag, s.expires_at
)
INSERT INTO {schema}.state_changes (key, kind, etag, expires_at) SELECT p.key, 'set', p.etag, p.expires_at FROM put AS p
RETURNING etag;

-- name: put_if
WITH put AS (
    UPDATE {schema}.state AS s
    SET
        value = %(body)s, etag = %(etag)s,
        expires_at = CASE
            WHEN %(ttl_ms)s::bigint > 0 THEN statement_timestamp() + %(ttl_ms)s::bigint * INTERVAL '1 millisecond'
            WHEN %(ttl_ms)s::bigint < 0 THEN s.expires_at
        END
    WHERE s.key = %(key)s AND s.etag = %(expected)s AND (s.expires_at IS NULL OR s.expires_at > statement_timestamp())
    RETURNING s.key, s.etag, s.expires_at
)
INSERT INTO {schema}.state_changes (key, kind, etag, expires_at) SELECT p.key, 'set', p.etag, p.expires_at FROM put AS p
RETURNING etag;

-- name: increment
-- Where the value is no JSON integer, or the sum is beyond int64, nothing is changed. (A CASE, for an AND may look at its parts in any order.)
WITH put AS (
    INSERT INTO {schema}.state AS s (key, value, etag, expires_at)
    VALUES (
        %(key)s, convert_to(%(by)s::bigint::text, 'UTF8'), %(etag)s,
        CASE WHEN %(ttl_ms)s::bigint > 0 THEN statement_timestamp() + %(ttl_ms)s::bigint * INTERVAL '1 millisecond' END
    )
    ON CONFLICT (key) DO UPDATE SET
        value = CASE
            WHEN s.expires_at <= statement_timestamp() THEN excluded.value
            ELSE convert_to((encode(s.value, 'escape')::numeric + %(by)s::bigint)::text, 'UTF8')
        END,
        etag = excluded.etag,
        expires_at = CASE WHEN s.expires_at <= statement_timestamp() THEN excluded.expires_at ELSE s.expires_at END
    WHERE CASE
        WHEN s.expires_at <= statement_timestamp() THEN TRUE
        WHEN octet_length(s.value) > 20 OR encode(s.value, 'escape') !~ '^(0|-?[1-9][0-9]*)$' THEN FALSE
        ELSE
            encode(s.value, 'escape')::numeric BETWEEN -9223372036854775808 AND 9223372036854775807
            AND encode(s.value, 'escape')::numeric + %(by)s::bigint BETWEEN -9223372036854775808 AND 9223372036854775807
    END
    RETURNING s.key, s.value, s.etag, s.expires_at
),
told AS (
    INSERT INTO {schema}.state_changes (key, kind, etag, expires_at) SELECT p.key, 'set', p.etag, p.expires_at FROM put AS p
)
SELECT encode(p.value, 'escape')::bigint FROM put AS p;

-- name: expire
-- No change of the value, and none is told.
UPDATE {schema}.state
SET expires_at = CASE WHEN %(ttl_ms)s::bigint > 0 THEN statement_timestamp() + %(ttl_ms)s::bigint * INTERVAL '1 millisecond' END
WHERE key = %(key)s AND (expires_at IS NULL OR expires_at > statement_timestamp())
RETURNING 1;

-- name: delete
-- A row that has ended goes too, and is told as that.
WITH gone AS (
    DELETE FROM {schema}.state
    WHERE
        key = %(key)s
        AND (%(expected)s::text IS NULL OR etag = %(expected)s::text OR expires_at <= statement_timestamp())
    RETURNING key, value, coalesce(expires_at <= statement_timestamp(), FALSE) AS ended
),
told AS (
    INSERT INTO {schema}.state_changes (key, kind) SELECT g.key, CASE WHEN g.ended THEN 'expire' ELSE 'delete' END FROM gone AS g
)
SELECT CASE WHEN NOT g.ended THEN g.value END FROM gone AS g;

-- name: delete_many
WITH locked AS (
    SELECT key FROM {schema}.state WHERE key = ANY(%(keys)s::text[]) ORDER BY key FOR UPDATE
),
gone AS (
    DELETE FROM {schema}.state AS s USING locked AS l WHERE s.key = l.key
    RETURNING s.key, coalesce(s.expires_at <= statement_timestamp(), FALSE) AS ended
),
told AS (
    INSERT INTO {schema}.state_changes (key, kind) SELECT g.key, CASE WHEN g.ended THEN 'expire' ELSE 'delete' END FROM gone AS g
)
SELECT NOT g.ended FROM gone AS g;

-- name: page
SELECT key FROM {schema}.state
WHERE
    key >= %(low)s AND key < %(high)s AND key > %(after)s
    AND (expires_at IS NULL OR expires_at > statement_timestamp())
ORDER BY key
LIMIT %(limit)s::bigint;

-- name: delete_page
WITH locked AS (
    SELECT key FROM {schema}.state
    WHERE key >= %(low)s AND key < %(high)s AND key > %(after)s
    ORDER BY key
    LIMIT %(limit)s::bigint
    FOR UPDATE
),
gone AS (
    DELETE FROM {schema}.state AS s USING locked AS l WHERE s.key = l.key
    RETURNING s.key, coalesce(s.expires_at <= statement_timestamp(), FALSE) AS ended
),
told AS (
    INSERT INTO {schema}.state_changes (key, kind) SELECT g.key, CASE WHEN g.ended THEN 'expire' ELSE 'delete' END FROM gone AS g
)
SELECT g.key, NOT g.ended FROM gone AS g;

-- name: sweep
-- What ended first goes first. What another transaction holds just now is left for the next time.
WITH due AS (
    SELECT key FROM {schema}.state
    WHERE expires_at <= statement_timestamp()
    ORDER BY expires_at
    LIMIT %(limit)s::bigint
    FOR UPDATE SKIP LOCKED
),
gone AS (
    DELETE FROM {schema}.state AS s USING due AS d WHERE s.key = d.key RETURNING s.key
),
told AS (
    INSERT INTO {schema}.state_changes (key, kind) SELECT g.key, 'expire' FROM gone AS g
)
SELECT 1 FROM gone;

-- name: trim
-- Changes that are old enough, and that no reader's next snapshot can be the first to see. What was removed is written down.
WITH gone AS (
    DELETE FROM {schema}.state_changes AS c
    USING (
        SELECT o.xid, o.id FROM {schema}.state_changes AS o
        ORDER BY o.xid, o.id
        LIMIT %(limit)s::bigint
        FOR UPDATE SKIP LOCKED
    ) AS old
    WHERE
        c.xid = old.xid AND c.id = old.id
        AND c.changed_at < statement_timestamp() - %(keep_ms)s::bigint * INTERVAL '1 millisecond'
        AND c.xid < pg_snapshot_xmin(pg_current_snapshot())
    RETURNING c.xid::text::bigint AS xid
),
noted AS (
    UPDATE {schema}.tierstore_meta AS m
    SET value = greatest(m.value::bigint, (SELECT max(g.xid) FROM gone AS g))::text
    WHERE m.key = 'state_trimmed' AND EXISTS (SELECT 1 FROM gone)
)
SELECT 1 FROM gone;

-- name: moment
-- From where on changes are told, and which server says so.
SELECT pg_current_snapshot()::text, extract(EPOCH FROM pg_postmaster_start_time())::text;

-- name: changes
-- What the snapshot `since` did not see and `upto` (or this one) does: up to when that is, whether something of it was removed, the server,
-- and the changes in the order of their ids. One row without a change where there is none.
SELECT
    s.upto::text,
    (SELECT m.value::bigint FROM {schema}.tierstore_meta AS m WHERE m.key = 'state_trimmed')
    >= pg_snapshot_xmin(s.since)::text::bigint AS lost,
    extract(EPOCH FROM pg_postmaster_start_time())::text AS server,
    c.id,
    c.key,
    c.kind,
    c.etag,
    c.expires_ms
FROM (
    SELECT
        coalesce(nullif(%(upto)s::text, '')::pg_snapshot, pg_current_snapshot()) AS upto,
        %(since)s::text::pg_snapshot AS since
) AS s
LEFT JOIN LATERAL (
    SELECT o.id, o.key, o.kind::text, o.etag, (extract(EPOCH FROM o.expires_at) * 1000)::bigint AS expires_ms
    FROM {schema}.state_changes AS o
    WHERE
        o.xid >= pg_snapshot_xmin(s.since)
        AND NOT pg_visible_in_snapshot(o.xid, s.since) AND pg_visible_in_snapshot(o.xid, s.upto)
        AND o.id > %(after)s::bigint AND o.key >= %(low)s AND o.key < %(high)s
    ORDER BY o.id
    LIMIT %(limit)s::bigint
) AS c ON TRUE
ORDER BY c.id;

-- name: count
-- Of a large table as many as it was last estimated to have.
SELECT
    CASE
        WHEN t.reltuples > 100000 THEN t.reltuples::bigint
        ELSE (SELECT count(*) FROM {schema}.state AS s WHERE s.expires_at IS NULL OR s.expires_at > statement_timestamp())
    END,
    pg_total_relation_size(t.oid)
FROM pg_class AS t
INNER JOIN pg_namespace AS n ON n.oid = t.relnamespace
WHERE n.nspname = {schema_text} AND t.relname = 'state';

-- name: place
-- Where state was when a store over this database was last opened.
SELECT value FROM {schema}.tierstore_meta WHERE key = 'state_place';

-- name: remember_place
INSERT INTO {schema}.tierstore_meta (key, value) VALUES ('state_place', %(place)s)
ON CONFLICT (key) DO UPDATE SET value = excluded.value;
