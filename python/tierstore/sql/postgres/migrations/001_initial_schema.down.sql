-- The extension stays: others may use it.
DROP VIEW subject_versions;
DROP TABLE idempotency;
DROP TABLE outbox;
DROP TABLE blob_uploads;
DROP TABLE blob_chunks;
DROP TABLE blobs;
DROP TABLE schemas;
DROP TABLE subjects;
DROP FUNCTION refuse_older_version();
DROP TABLE tierstore_meta;
DROP SEQUENCE row_version;
