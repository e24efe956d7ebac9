-- oldest_code: 1
--
-- The same tables and columns as on PostgreSQL; read the head of its 005_modules.up.sql for what they mean. Times are microseconds since the
-- epoch (UTC), and the ids of module_audit rise with the commits.

CREATE TABLE module_owners (
    name TEXT PRIMARY KEY,
    row_version INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE modules (
    name TEXT PRIMARY KEY REFERENCES module_owners (name),
    metadata TEXT NOT NULL CHECK (json_valid(metadata)),
    row_version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);

CREATE TABLE module_versions (
    module_name TEXT NOT NULL REFERENCES modules (name) ON DELETE CASCADE,
    version TEXT NOT NULL,
    version_major INTEGER NOT NULL CHECK (version_major >= 0),
    version_minor INTEGER NOT NULL CHECK (version_minor >= 0),
    version_patch INTEGER NOT NULL CHECK (version_patch >= 0),
    prerelease_key BLOB NOT NULL,
    build TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL DEFAULT 'draft',
    metadata TEXT NOT NULL CHECK (json_valid(metadata)),
    digest TEXT NOT NULL,
    file_count INTEGER NOT NULL CHECK (file_count >= 0),
    content_size INTEGER NOT NULL CHECK (content_size >= 0),
    deprecation_reason TEXT,
    replaced_by TEXT,
    row_version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    published_at INTEGER,
    deprecated_at INTEGER,
    archived_at INTEGER,
    PRIMARY KEY (module_name, version_major, version_minor, version_patch, prerelease_key),
    CONSTRAINT unique_module_version UNIQUE (module_name, version),
    CONSTRAINT module_versions_state CHECK (state IN ('draft', 'published', 'deprecated', 'archived')),
    CONSTRAINT module_versions_deprecated CHECK (state <> 'deprecated' OR deprecation_reason IS NOT NULL)
);
CREATE INDEX idx_module_versions_latest ON module_versions
(module_name, version_major DESC, version_minor DESC, version_patch DESC, prerelease_key DESC)
WHERE state IN ('published', 'deprecated');

CREATE TABLE module_files (
    module_name TEXT NOT NULL,
    version TEXT NOT NULL,
    path TEXT NOT NULL,
    digest TEXT NOT NULL,
    size INTEGER NOT NULL CHECK (size >= 0),
    PRIMARY KEY (module_name, version, path),
    FOREIGN KEY (module_name, version) REFERENCES module_versions (module_name, version) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX idx_module_files_digest ON module_files (digest);
CREATE INDEX idx_module_files_path ON module_files (path);

CREATE TABLE module_imports (
    id INTEGER PRIMARY KEY,
    module_name TEXT NOT NULL,
    version TEXT NOT NULL,
    file TEXT NOT NULL,
    path TEXT NOT NULL,
    kind TEXT NOT NULL,
    line INTEGER NOT NULL,
    "column" INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('resolved', 'unresolved', 'builtin')),
    error TEXT,
    dependency_name TEXT,
    dependency_version TEXT,
    FOREIGN KEY (module_name, version) REFERENCES module_versions (module_name, version) ON DELETE CASCADE
);
CREATE INDEX idx_module_imports_version ON module_imports (module_name, version);
CREATE INDEX idx_module_imports_unresolved ON module_imports (path) WHERE status = 'unresolved';

CREATE TABLE module_dependencies (
    id INTEGER PRIMARY KEY,
    module_name TEXT NOT NULL,
    version TEXT NOT NULL,
    dependency_name TEXT NOT NULL,
    dependency_version TEXT,
    import_path TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    FOREIGN KEY (module_name, version) REFERENCES module_versions (module_name, version) ON DELETE CASCADE,
    UNIQUE (module_name, version, dependency_name, import_path)
);
CREATE INDEX idx_dependencies_module ON module_dependencies (module_name, version);
CREATE INDEX idx_dependencies_dep ON module_dependencies (dependency_name);
CREATE INDEX idx_dependencies_dep_version ON module_dependencies (dependency_name, dependency_version);

CREATE TABLE module_requires (
    module_name TEXT NOT NULL,
    version TEXT NOT NULL,
    dependency_name TEXT NOT NULL,
    required TEXT,
    locked TEXT,
    PRIMARY KEY (module_name, version, dependency_name),
    FOREIGN KEY (module_name, version) REFERENCES module_versions (module_name, version) ON DELETE CASCADE,
    CONSTRAINT module_requires_says_something CHECK (required IS NOT NULL OR locked IS NOT NULL)
) WITHOUT ROWID;

CREATE TABLE module_audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    actor TEXT,
    action TEXT NOT NULL,
    module_name TEXT NOT NULL,
    version TEXT,
    request_id TEXT,
    detail TEXT NOT NULL CHECK (json_valid(detail))
);
CREATE INDEX idx_module_audit_module ON module_audit (module_name, id);

CREATE TRIGGER module_owners_version_rises BEFORE UPDATE ON module_owners
WHEN NEW.row_version <= OLD.row_version
BEGIN
    SELECT raise(ABORT, 'row_version must rise');
END;
CREATE TRIGGER modules_version_rises BEFORE UPDATE ON modules
WHEN NEW.row_version <= OLD.row_version
BEGIN
    SELECT raise(ABORT, 'row_version must rise');
END;
CREATE TRIGGER module_versions_version_rises BEFORE UPDATE ON module_versions
WHEN NEW.row_version <= OLD.row_version
BEGIN
    SELECT raise(ABORT, 'row_version must rise');
END;
