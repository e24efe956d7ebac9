DROP INDEX {schema}.idx_schemas_registered;
ALTER TABLE {schema}.schemas DROP COLUMN registered_by;
