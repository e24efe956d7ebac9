-- oldest_code: 0
--
-- What the tiers need, whatever is stored above them. What the columns mean, for whoever writes queries. (The SQLite twin has the same
-- names; differences are said there.)
--
-- row_version    One sequence orders the values of every key. A statement that changes a row sets nextval('row_version') in that
--                same statement. Before any row of an owner (a schema's subject) changes, the owner's row is changed in the same
--                transaction; many in sorted order. What is derived from several rows of an owner, and absence, carries its row_version.
-- outbox         One row per write: keys[i] changed at versions[i] in transaction xid. delivered_at: L2 and the channel know it.
-- idempotency    request: digest of what was asked, so that a key used for something else is a conflict; result: what was answered.
-- blobs          Content outside rows. state: live, or doomed (phase one of the sweep; a write makes it live again).
-- blob_uploads   The pending rows: one per upload, committed aside, removed by upload_id and never by digest.
-- blob_chunks    256 KiB pieces of a blob whose tier is row, seq from 0.

CREATE SEQUENCE {schema}.row_version AS bigint;

CREATE TABLE {schema}.tierstore_meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
INSERT INTO {schema}.tierstore_meta (key, value) VALUES ('identity', gen_random_uuid()::text), ('outbox_trimmed', '0');

CREATE TABLE {schema}.blobs (
    digest TEXT PRIMARY KEY,
    size BIGINT NOT NULL CHECK (size >= 0),
    tier VARCHAR(10) NOT NULL CHECK (tier IN ('row', 'object')),
    state VARCHAR(10) NOT NULL DEFAULT 'live' CHECK (state IN ('live', 'doomed')),
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE TABLE {schema}.blob_chunks (
    digest TEXT NOT NULL REFERENCES {schema}.blobs (digest) ON DELETE CASCADE,
    seq INTEGER NOT NULL CHECK (seq >= 0),
    bytes BYTEA NOT NULL,
    PRIMARY KEY (digest, seq)
);
ALTER TABLE {schema}.blob_chunks ALTER COLUMN bytes SET STORAGE EXTERNAL;

CREATE TABLE {schema}.blob_uploads (
    upload_id UUID PRIMARY KEY,
    digest TEXT NOT NULL,
    size BIGINT NOT NULL CHECK (size >= 0),
    created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX idx_blob_uploads_digest ON {schema}.blob_uploads (digest);

CREATE TABLE {schema}.outbox (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xid XID8 NOT NULL DEFAULT pg_current_xact_id(),
    keys TEXT[] NOT NULL,
    versions BIGINT[] NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    delivered_at TIMESTAMPTZ,
    CONSTRAINT outbox_pairs CHECK (cardinality(keys) = cardinality(versions))
);
CREATE INDEX idx_outbox_xid ON {schema}.outbox (xid);
CREATE INDEX idx_outbox_undelivered ON {schema}.outbox (id) WHERE delivered_at IS NULL;

CREATE TABLE {schema}.idempotency (
    key TEXT PRIMARY KEY,
    request TEXT NOT NULL,
    result JSONB NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX idx_idempotency_created ON {schema}.idempotency (created_at);

-- A row never gets an older version than it has: a defect in a query shows as an error, not as a cache that goes backwards.
CREATE FUNCTION {schema}.refuse_older_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.row_version <= OLD.row_version THEN
        RAISE EXCEPTION 'row_version must rise: % after %', NEW.row_version, OLD.row_version
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
$$;
