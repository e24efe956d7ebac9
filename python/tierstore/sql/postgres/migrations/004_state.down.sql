DROP TABLE {schema}.state_changes;
DROP TABLE {schema}.state;
DELETE FROM {schema}.tierstore_meta WHERE key LIKE 'state%';
