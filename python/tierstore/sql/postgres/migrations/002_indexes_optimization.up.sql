-- oldest_code: 1
--
-- idx_schemas_latest    covers the look-up of the latest version: id, state and row_version come from the index alone.
-- idx_schemas_active    partial, for searches by type.
-- idx_schemas_state     counts by state and type without touching the table.
-- idx_schemas_tags      expression index: metadata -> 'tags' ? 'production' (one on the whole of metadata is not used for that).
-- idx_schemas_metadata  metadata @> '{…}';  idx_schemas_content  content @> '{…}'
-- schema_texts          the texts once more, kept by triggers: a change of state enters its row anew in every index of schemas, and of all
--                       of them idx_schemas_search is the dearest. Deleted schemas stay in it until they are purged.
-- idx_schemas_search    pg_trgm: subject, description or search_text ILIKE '%word%', or %> 'word'. subject has collation "C", so ILIKE
--                       folds only ASCII there.
-- schema_access_log     access counts by schema and hour, added to in batches: … ON CONFLICT (schema_id, hour) DO UPDATE SET access_count
--                       = schema_access_log.access_count + excluded.access_count.
-- popular_schemas       refreshed by a job; no write refreshes it.

CREATE INDEX idx_schemas_latest ON {schema}.schemas
(subject, version_major DESC, version_minor DESC, version_patch DESC, prerelease_key DESC)
INCLUDE (id, state, row_version)
WHERE deleted_at IS NULL;

CREATE INDEX idx_schemas_active ON {schema}.schemas (schema_type, subject) WHERE deleted_at IS NULL AND state = 'active';
CREATE INDEX idx_schemas_state ON {schema}.schemas (state, schema_type) INCLUDE (content_size) WHERE deleted_at IS NULL;
CREATE INDEX idx_schemas_digest ON {schema}.schemas (content_digest) WHERE placement <> 'inline' AND purged_at IS NULL;
CREATE INDEX idx_schemas_purged ON {schema}.schemas (purged_at) WHERE purged_at IS NOT NULL;

CREATE INDEX idx_schemas_tags ON {schema}.schemas USING gin ((metadata -> 'tags'));
CREATE INDEX idx_schemas_metadata ON {schema}.schemas USING gin (metadata jsonb_path_ops);
CREATE INDEX idx_schemas_content ON {schema}.schemas USING gin (content jsonb_path_ops);

CREATE TABLE {schema}.schema_texts (
    schema_id UUID PRIMARY KEY,
    subject VARCHAR(255) COLLATE "C" NOT NULL,
    description TEXT NOT NULL,
    search_text TEXT NOT NULL
);
INSERT INTO {schema}.schema_texts (schema_id, subject, description, search_text)
SELECT s.id, s.subject, s.description, s.search_text FROM {schema}.schemas AS s WHERE s.purged_at IS NULL;
CREATE INDEX idx_schemas_search ON {schema}.schema_texts
USING gin (subject {trgm}.gin_trgm_ops, description {trgm}.gin_trgm_ops, search_text {trgm}.gin_trgm_ops);

CREATE FUNCTION {schema}.copy_texts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO {schema}.schema_texts (schema_id, subject, description, search_text)
    SELECT a.id, a.subject, a.description, a.search_text FROM added AS a;
    RETURN NULL;
END
$$;
CREATE TRIGGER schemas_texts_added AFTER INSERT ON {schema}.schemas
REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION {schema}.copy_texts();

CREATE FUNCTION {schema}.renew_texts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM {schema}.schema_texts WHERE schema_id = OLD.id;
    IF TG_OP = 'UPDATE' AND NEW.purged_at IS NULL THEN
        INSERT INTO {schema}.schema_texts (schema_id, subject, description, search_text)
        VALUES (NEW.id, NEW.subject, NEW.description, NEW.search_text);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER schemas_texts_changed AFTER UPDATE ON {schema}.schemas
FOR EACH ROW WHEN (
    OLD.description <> NEW.description OR OLD.search_text <> NEW.search_text OR (OLD.purged_at IS NULL AND NEW.purged_at IS NOT NULL)
) EXECUTE FUNCTION {schema}.renew_texts();
CREATE TRIGGER schemas_texts_removed AFTER DELETE ON {schema}.schemas
FOR EACH ROW EXECUTE FUNCTION {schema}.renew_texts();

CREATE TABLE {schema}.schema_access_log (
    schema_id UUID NOT NULL REFERENCES {schema}.schemas (id) ON DELETE CASCADE,
    hour TIMESTAMPTZ NOT NULL,
    access_count BIGINT NOT NULL CHECK (access_count > 0),
    last_accessed_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (schema_id, hour)
);
CREATE INDEX idx_schema_access_log_hour ON {schema}.schema_access_log (hour);

CREATE MATERIALIZED VIEW {schema}.popular_schemas AS
SELECT
    s.id,
    s.subject,
    s.version_major,
    s.version_minor,
    s.version_patch,
    s.prerelease,
    sum(l.access_count)::bigint AS access_count,
    max(l.last_accessed_at) AS last_accessed_at
FROM {schema}.schemas AS s
INNER JOIN {schema}.schema_access_log AS l ON l.schema_id = s.id
WHERE s.deleted_at IS NULL AND s.state IN ('active', 'deprecated')
GROUP BY s.id;
CREATE UNIQUE INDEX idx_popular_schemas_id ON {schema}.popular_schemas (id);
CREATE INDEX idx_popular_schemas_count ON {schema}.popular_schemas (access_count DESC, id);

-- Only the owner may refresh a view; a service whose role may not change tables calls this instead.
CREATE FUNCTION {schema}.refresh_popular() RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    REFRESH MATERIALIZED VIEW CONCURRENTLY {schema}.popular_schemas
$$;
