DROP TABLE idempotency;
DROP TABLE outbox;
DROP TABLE blob_chunks;
DROP TABLE blobs;
DROP TABLE tierstore_meta;
DROP TABLE row_version;
