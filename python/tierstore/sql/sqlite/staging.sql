-- staging.db: what is committed apart from the caller's transaction (Records.aside). Made anew whenever it is missing: all it holds is
-- which uploads are under way, and a sweep treats an object that is named nowhere by its age.
CREATE TABLE IF NOT EXISTS blob_uploads (
    upload_id TEXT PRIMARY KEY,
    digest TEXT NOT NULL,
    size INTEGER NOT NULL CHECK (size >= 0),
    created_at INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS idx_blob_uploads_digest ON blob_uploads (digest);
