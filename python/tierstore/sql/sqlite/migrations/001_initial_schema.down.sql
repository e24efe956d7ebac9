DROP VIEW subject_versions;
DROP TABLE schemas;
DROP TABLE subjects;
