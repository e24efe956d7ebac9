DROP INDEX idx_schemas_registered;
ALTER TABLE schemas DROP COLUMN registered_by;
