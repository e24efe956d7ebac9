-- The extension stays: others may use it.
DROP VIEW {schema}.subject_versions;
DROP TABLE {schema}.schemas;
DROP TABLE {schema}.subjects;
