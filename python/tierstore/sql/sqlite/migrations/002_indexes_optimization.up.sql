-- oldest_code: 1
--
-- SQLite has no INCLUDE, so idx_schemas_latest carries id, state and row_version as key columns (and deleted_at, which a query that tests
-- it is otherwise taken to the table for); no GIN, so tags and metadata are
-- read with json_each on the rows that the other conditions leave; no materialized view, so popular_schemas is a view.
-- schemas_fts: trigrams of subject, description and search_text of every row that is not deleted, kept by triggers. rowid = schemas.seq.
-- detail=none: a term is one trigram, and terms are joined with AND or OR ('"ord" AND "rde" AND "der"'); a phrase of several
-- trigrams is refused. Letter case is folded.

CREATE INDEX idx_schemas_latest ON schemas
(subject, version_major DESC, version_minor DESC, version_patch DESC, prerelease_key DESC, id, state, row_version, deleted_at)
WHERE deleted_at IS NULL;

CREATE INDEX idx_schemas_active ON schemas (schema_type, subject) WHERE deleted_at IS NULL AND state = 'active';
CREATE INDEX idx_schemas_state ON schemas (state, schema_type, content_size, deleted_at) WHERE deleted_at IS NULL;
CREATE INDEX idx_schemas_digest ON schemas (content_digest) WHERE placement <> 'inline' AND purged_at IS NULL;
CREATE INDEX idx_schemas_purged ON schemas (purged_at) WHERE purged_at IS NOT NULL;

CREATE VIRTUAL TABLE schemas_fts USING fts5(
    subject, description, search_text,
    content = 'schemas', content_rowid = 'seq', tokenize = 'trigram', detail = 'none', columnsize = 0
);
INSERT INTO schemas_fts (rowid, subject, description, search_text)
SELECT s.seq, s.subject, s.description, s.search_text FROM schemas AS s WHERE s.deleted_at IS NULL;

CREATE TRIGGER schemas_fts_insert AFTER INSERT ON schemas WHEN NEW.deleted_at IS NULL
BEGIN
    INSERT INTO schemas_fts (rowid, subject, description, search_text)
    VALUES (NEW.seq, NEW.subject, NEW.description, NEW.search_text);
END;
CREATE TRIGGER schemas_fts_remove AFTER DELETE ON schemas WHEN OLD.deleted_at IS NULL
BEGIN
    INSERT INTO schemas_fts (schemas_fts, rowid, subject, description, search_text)
    VALUES ('delete', OLD.seq, OLD.subject, OLD.description, OLD.search_text);
END;
-- One trigger for each case: several on one event run in no defined order, and what was added must not be dropped after it.
CREATE TRIGGER schemas_fts_drop AFTER UPDATE OF deleted_at ON schemas
WHEN OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL
BEGIN
    INSERT INTO schemas_fts (schemas_fts, rowid, subject, description, search_text)
    VALUES ('delete', OLD.seq, OLD.subject, OLD.description, OLD.search_text);
END;
CREATE TRIGGER schemas_fts_add AFTER UPDATE OF deleted_at ON schemas
WHEN OLD.deleted_at IS NOT NULL AND NEW.deleted_at IS NULL
BEGIN
    INSERT INTO schemas_fts (rowid, subject, description, search_text)
    VALUES (NEW.seq, NEW.subject, NEW.description, NEW.search_text);
END;
CREATE TRIGGER schemas_fts_change AFTER UPDATE OF metadata, search_text ON schemas
WHEN
    OLD.deleted_at IS NULL AND NEW.deleted_at IS NULL
    AND (OLD.description <> NEW.description OR OLD.search_text <> NEW.search_text)
BEGIN
    INSERT INTO schemas_fts (schemas_fts, rowid, subject, description, search_text)
    VALUES ('delete', OLD.seq, OLD.subject, OLD.description, OLD.search_text);
    INSERT INTO schemas_fts (rowid, subject, description, search_text)
    VALUES (NEW.seq, NEW.subject, NEW.description, NEW.search_text);
END;

CREATE TABLE schema_access_log (
    schema_id TEXT NOT NULL REFERENCES schemas (id) ON DELETE CASCADE,
    hour INTEGER NOT NULL,
    access_count INTEGER NOT NULL CHECK (access_count > 0),
    last_accessed_at INTEGER NOT NULL,
    PRIMARY KEY (schema_id, hour)
) WITHOUT ROWID;
CREATE INDEX idx_schema_access_log_hour ON schema_access_log (hour);

CREATE VIEW popular_schemas AS
SELECT
    s.id,
    s.subject,
    s.version_major,
    s.version_minor,
    s.version_patch,
    s.prerelease,
    sum(l.access_count) AS access_count,
    max(l.last_accessed_at) AS last_accessed_at
FROM schemas AS s
INNER JOIN schema_access_log AS l ON l.schema_id = s.id
WHERE s.deleted_at IS NULL AND s.state IN ('active', 'deprecated')
GROUP BY s.id;
