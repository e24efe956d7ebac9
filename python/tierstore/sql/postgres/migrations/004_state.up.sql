-- oldest_code: 1
--
-- state           One row a key, in the order of the keys' bytes. value: as the store wrote it (JSON text, or marked by its first byte).
--                 etag: 64 random bits, new with every value. expires_at: from then on the row counts as absent; a job removes it.
-- state_changes   One row a change, written by the statement that made it; kept for a minute. id rises with the changes of one key (its row
--                 is locked meanwhile), not with the commits of all: readers take what their last snapshot did not see. A row that
--                 ended is told when it is removed.
-- state_trimmed   (tierstore_meta) the highest xid of which a change was removed.

CREATE TABLE {schema}.state (
    key TEXT COLLATE "C" PRIMARY KEY,
    value BYTEA NOT NULL,
    etag TEXT NOT NULL,
    expires_at TIMESTAMPTZ
);
ALTER TABLE {schema}.state ALTER COLUMN value SET STORAGE EXTERNAL;
CREATE INDEX idx_state_expires_at ON {schema}.state (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE {schema}.state_changes (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    xid XID8 NOT NULL DEFAULT pg_current_xact_id(),
    key TEXT COLLATE "C" NOT NULL,
    kind VARCHAR(10) NOT NULL CHECK (kind IN ('set', 'delete', 'expire')),
    etag TEXT,
    expires_at TIMESTAMPTZ,
    changed_at TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    PRIMARY KEY (xid, id)
);

INSERT INTO {schema}.tierstore_meta (key, value) VALUES ('state_trimmed', '0');
