-- oldest_code: 1
--
-- registered_by           the transaction that registered the row; of rows from before this migration: the migration's.
-- idx_schemas_registered  what a process has not read yet for its search index: rows of transactions that its last snapshot did not see.

ALTER TABLE {schema}.schemas ADD COLUMN registered_by XID8 NOT NULL DEFAULT pg_current_xact_id();
CREATE INDEX idx_schemas_registered ON {schema}.schemas (registered_by, id) WHERE purged_at IS NULL;
