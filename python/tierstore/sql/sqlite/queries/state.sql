-- Values under keys (state), with an end and an etag. What has ended counts as absent, whether it is removed already or not.
--
-- `now`: milliseconds since the epoch. `state_changes` is written first or last in the same transaction; a new etag finds the row that was
-- written. ttl_ms: milliseconds from now, 0 for no end, -1 to keep the end that is there.

-- name: get
SELECT value, etag FROM state WHERE key = :key AND (expires_at IS NULL OR expires_at > :now);

-- name: get_many
SELECT key, value, etag FROM state
WHERE key IN (SELECT value FROM json_each(:keys)) AND (expires_at IS NULL OR expires_at > :now);

-- name: look
SELECT value, etag, expires_at FROM state WHERE key = :key AND (expires_at IS NULL OR expires_at > :now);

-- name: left
SELECT expires_at - :now FROM state WHERE key = :key AND (expires_at IS NULL OR expires_at > :now);

-- name: put_each
-- each
INSERT INTO state (key, value, etag, expires_at)
VALUES (:keys, :bodies, :etags, CASE WHEN :ttls > 0 THEN :nows + :ttls END)
ON CONFLICT (key) DO UPDATE SET value = excluded.value, etag = excluded.etag, expires_at = excluded.expires_at;

-- name: put_many
-- first: state.put_each
-- each
INSERT INTO state_changes (key, kind, etag, expires_at, changed_at)
SELECT key, 'set', etag, expires_at, :nows FROM state WHERE key = :keys AND etag = :etags;

-- name: put_over
INSERT INTO state (key, value, etag) VALUES (:key, :body, :etag)
ON CONFLICT (key) DO UPDATE SET
    value = excluded.value, etag = excluded.etag, expires_at = CASE WHEN expires_at > :now THEN expires_at END;

-- name: put_keep
-- first: state.put_over
INSERT INTO state_changes (key, kind, etag, expires_at, changed_at)
SELECT key, 'set', etag, expires_at, :now FROM state WHERE key = :key AND etag = :etag
RETURNING etag;

-- name: put_new
INSERT INTO state (key, value, etag, expires_at)
VALUES (:key, :body, :etag, CASE WHEN :ttl_ms > 0 THEN :now + :ttl_ms END)
ON CONFLICT (key) DO UPDATE SET value = excluded.value, etag = excluded.etag, expires_at = excluded.expires_at
WHERE state.expires_at <= :now;

-- name: put_absent
-- first: state.put_new
INSERT INTO state_changes (key, kind, etag, expires_at, changed_at)
SELECT key, 'set', etag, expires_at, :now FROM state WHERE key = :key AND etag = :etag
RETURNING etag;

-- name: put_expected
UPDATE state
SET
    value = :body, etag = :etag,
    expires_at = CASE WHEN :ttl_ms > 0 THEN :now + :ttl_ms WHEN :ttl_ms < 0 THEN expires_at END
WHERE key = :key AND etag = :expected AND (expires_at IS NULL OR expires_at > :now);

-- name: put_if
-- first: state.put_expected
INSERT INTO state_changes (key, kind, etag, expires_at, changed_at)
SELECT key, 'set', etag, expires_at, :now FROM state WHERE key = :key AND etag = :etag
RETURNING etag;

-- name: put_sum
-- Where the value is no JSON integer, or the sum is beyond int64, nothing is changed: an integer in its shortest form is the same as text
-- again, and beyond int64 the sum would be a float.
INSERT INTO state (key, value, etag, expires_at)
VALUES (:key, CAST(CAST(:by AS TEXT) AS BLOB), :etag, CASE WHEN :ttl_ms > 0 THEN :now + :ttl_ms END)
ON CONFLICT (key) DO UPDATE SET
    value = CASE
        WHEN state.expires_at <= :now THEN excluded.value
        ELSE CAST(CAST(CAST(CAST(state.value AS TEXT) AS INTEGER) + :by AS TEXT) AS BLOB)
    END,
    etag = excluded.etag,
    expires_at = CASE WHEN state.expires_at <= :now THEN excluded.expires_at ELSE state.expires_at END
WHERE
    state.expires_at <= :now
    OR (
        length(state.value) <= 20
        AND CAST(CAST(CAST(state.value AS TEXT) AS INTEGER) AS TEXT) = CAST(state.value AS TEXT)
        AND typeof(CAST(CAST(state.value AS TEXT) AS INTEGER) + :by) = 'integer'
    );

-- name: increment
-- first: state.put_sum
INSERT INTO state_changes (key, kind, etag, expires_at, changed_at)
SELECT key, 'set', etag, expires_at, :now FROM state WHERE key = :key AND etag = :etag
RETURNING (SELECT CAST(CAST(s.value AS TEXT) AS INTEGER) FROM state AS s WHERE s.key = :key);

-- name: expire
-- No change of the value, and none is told.
UPDATE state SET expires_at = CASE WHEN :ttl_ms > 0 THEN :now + :ttl_ms END
WHERE key = :key AND (expires_at IS NULL OR expires_at > :now)
RETURNING 1;

-- name: tell_delete
INSERT INTO state_changes (key, kind, changed_at)
SELECT key, CASE WHEN expires_at <= :now THEN 'expire' ELSE 'delete' END, :now FROM state
WHERE key = :key AND (:expected IS NULL OR etag = :expected OR expires_at <= :now);

-- name: delete
-- first: state.tell_delete
-- A row that has ended goes too, and is told as that.
DELETE FROM state WHERE key = :key AND (:expected IS NULL OR etag = :expected OR expires_at <= :now)
RETURNING CASE WHEN expires_at IS NULL OR expires_at > :now THEN value END;

-- name: tell_delete_many
INSERT INTO state_changes (key, kind, changed_at)
SELECT key, CASE WHEN expires_at <= :now THEN 'expire' ELSE 'delete' END, :now FROM state
WHERE key IN (SELECT value FROM json_each(:keys));

-- name: delete_many
-- first: state.tell_delete_many
DELETE FROM state WHERE key IN (SELECT value FROM json_each(:keys)) RETURNING expires_at IS NULL OR expires_at > :now;

-- name: page
SELECT key FROM state
WHERE key >= :low AND key < :high AND key > :after AND (expires_at IS NULL OR expires_at > :now)
ORDER BY key
LIMIT :limit;

-- name: tell_delete_page
INSERT INTO state_changes (key, kind, changed_at)
SELECT key, CASE WHEN expires_at <= :now THEN 'expire' ELSE 'delete' END, :now FROM state
WHERE key >= :low AND key < :high AND key > :after
ORDER BY key
LIMIT :limit;

-- name: delete_page
-- first: state.tell_delete_page
DELETE FROM state WHERE key IN (
    SELECT key FROM state WHERE key >= :low AND key < :high AND key > :after ORDER BY key LIMIT :limit
)
RETURNING key, expires_at IS NULL OR expires_at > :now;

-- name: tell_sweep
INSERT INTO state_changes (key, kind, changed_at)
SELECT key, 'expire', :now FROM state WHERE expires_at <= :now ORDER BY expires_at, rowid LIMIT :limit;

-- name: sweep
-- first: state.tell_sweep
-- What ended first goes first.
DELETE FROM state WHERE key IN (SELECT key FROM state WHERE expires_at <= :now ORDER BY expires_at, rowid LIMIT :limit) RETURNING 1;

-- name: trim
-- Changes that are old enough. The newest stays, so that ids go on behind it.
DELETE FROM state_changes WHERE id IN (
    SELECT id FROM state_changes
    WHERE id < (SELECT max(id) FROM state_changes)
    ORDER BY id
    LIMIT :limit
) AND changed_at < :now - :keep_ms
RETURNING 1;

-- name: moment
-- From where on changes are told, and which server says so.
SELECT CAST(coalesce(max(id), 0) AS TEXT), '' FROM state_changes;

-- name: changes
-- What came behind `since`, up to `upto` (or now): up to where that is, whether something of it was removed, the server, and the changes in
-- the order of their ids. One row without a change where there is none.
SELECT
    CAST(s.upto AS TEXT), s.lost, '', c.id, c.key, c.kind, c.etag, c.expires_at
FROM (
    SELECT
        CASE :upto WHEN '' THEN e.newest ELSE CAST(:upto AS INTEGER) END AS upto,
        e.newest < CAST(:since AS INTEGER) OR e.oldest > CAST(:since AS INTEGER) + 1 AS lost
    FROM (
        SELECT
            coalesce((SELECT max(n.id) FROM state_changes AS n), 0) AS newest,
            coalesce((SELECT min(o.id) FROM state_changes AS o), 1) AS oldest
    ) AS e
) AS s
LEFT JOIN (
    SELECT id, key, kind, etag, expires_at FROM state_changes
    WHERE id > max(CAST(:since AS INTEGER), :after) AND key >= :low AND key < :high
    ORDER BY id
    LIMIT :limit
) AS c ON c.id <= s.upto
ORDER BY c.id;

-- name: count
-- slow
SELECT count(*), coalesce(sum(length(CAST(key AS BLOB)) + length(value)), 0) FROM state
WHERE expires_at IS NULL OR expires_at > :now;

-- name: place
-- Where state was when a store over this database was last opened.
SELECT value FROM tierstore_meta WHERE key = 'state_place';

-- name: remember_place
INSERT INTO tierstore_meta (key, value) VALUES ('state_place', :place)
ON CONFLICT (key) DO UPDATE SET value = excluded.value;
