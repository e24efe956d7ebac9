DROP TABLE {schema}.idempotency;
DROP TABLE {schema}.outbox;
DROP TABLE {schema}.blob_uploads;
DROP TABLE {schema}.blob_chunks;
DROP TABLE {schema}.blobs;
DROP FUNCTION {schema}.refuse_older_version();
DROP TABLE {schema}.tierstore_meta;
DROP SEQUENCE {schema}.row_version;
