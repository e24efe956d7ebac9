-- oldest_code: 1
--
-- module_owners         The owner rows of modules: whatever changes of a module changes its row first. It stays when the module goes, so that
--                       an absence has a version that rises.
-- modules               metadata: the caller's mapping with "tags" (a list of strings) and "description" (a string) in it.
-- module_versions       version: the text that semver orders, without build metadata, which is no part of identity. prerelease_key: orders
--                       pre-releases as semver does, bytewise; a release is \xff. digest: hex SHA-256 over the paths and digests of its
--                       files. deprecation_reason, replaced_by: while the version is deprecated, and after it was archived.
-- module_files          path: a file's name as imports write it. Its bytes are the blob `digest`, so equal files are stored once.
-- module_imports        Every import as it stands in a file: line and column from 1, how it was resolved, or why not.
-- module_dependencies   What is resolved, each once: a projection of module_imports.
-- module_requires       What a version requires of other modules: required: the constraint that it was created with; locked: the version in
--                       its lockfile, without build metadata, which goes before the constraint.
-- module_audit          One row a change, with who asked for it. It stays when the module goes.

CREATE TABLE {schema}.module_owners (
    name VARCHAR(255) COLLATE "C" PRIMARY KEY,
    row_version BIGINT NOT NULL
);

CREATE TABLE {schema}.modules (
    name VARCHAR(255) COLLATE "C" PRIMARY KEY REFERENCES {schema}.module_owners (name),
    metadata JSONB NOT NULL,
    row_version BIGINT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE TABLE {schema}.module_versions (
    module_name VARCHAR(255) COLLATE "C" NOT NULL REFERENCES {schema}.modules (name) ON DELETE CASCADE,
    version VARCHAR(100) COLLATE "C" NOT NULL,
    version_major INTEGER NOT NULL CHECK (version_major >= 0),
    version_minor INTEGER NOT NULL CHECK (version_minor >= 0),
    version_patch INTEGER NOT NULL CHECK (version_patch >= 0),
    prerelease_key BYTEA NOT NULL,
    build TEXT NOT NULL DEFAULT '',
    state VARCHAR(20) NOT NULL DEFAULT 'draft',
    metadata JSONB NOT NULL,
    digest TEXT NOT NULL,
    file_count INTEGER NOT NULL CHECK (file_count >= 0),
    content_size BIGINT NOT NULL CHECK (content_size >= 0),
    deprecation_reason TEXT,
    replaced_by TEXT,
    row_version BIGINT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    published_at TIMESTAMPTZ,
    deprecated_at TIMESTAMPTZ,
    archived_at TIMESTAMPTZ,
    PRIMARY KEY (module_name, version_major, version_minor, version_patch, prerelease_key),
    CONSTRAINT unique_module_version UNIQUE (module_name, version),
    CONSTRAINT module_versions_state CHECK (state IN ('draft', 'published', 'deprecated', 'archived')),
    CONSTRAINT module_versions_deprecated CHECK (state <> 'deprecated' OR deprecation_reason IS NOT NULL)
);
CREATE INDEX idx_module_versions_latest ON {schema}.module_versions
(module_name, version_major DESC, version_minor DESC, version_patch DESC, prerelease_key DESC)
WHERE state IN ('published', 'deprecated');

CREATE TABLE {schema}.module_files (
    module_name VARCHAR(255) COLLATE "C" NOT NULL,
    version VARCHAR(100) COLLATE "C" NOT NULL,
    path TEXT COLLATE "C" NOT NULL,
    digest TEXT NOT NULL,
    size BIGINT NOT NULL CHECK (size >= 0),
    PRIMARY KEY (module_name, version, path),
    FOREIGN KEY (module_name, version) REFERENCES {schema}.module_versions (module_name, version) ON DELETE CASCADE
);
CREATE INDEX idx_module_files_digest ON {schema}.module_files (digest);
CREATE INDEX idx_module_files_path ON {schema}.module_files (path);

CREATE TABLE {schema}.module_imports (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    module_name VARCHAR(255) COLLATE "C" NOT NULL,
    version VARCHAR(100) COLLATE "C" NOT NULL,
    file TEXT COLLATE "C" NOT NULL,
    path TEXT COLLATE "C" NOT NULL,
    kind VARCHAR(10) NOT NULL,
    line INTEGER NOT NULL,
    "column" INTEGER NOT NULL,
    status VARCHAR(20) NOT NULL CHECK (status IN ('resolved', 'unresolved', 'builtin')),
    error TEXT,
    dependency_name VARCHAR(255) COLLATE "C",
    dependency_version VARCHAR(100) COLLATE "C",
    FOREIGN KEY (module_name, version) REFERENCES {schema}.module_versions (module_name, version) ON DELETE CASCADE
);
CREATE INDEX idx_module_imports_version ON {schema}.module_imports (module_name, version);
CREATE INDEX idx_module_imports_unresolved ON {schema}.module_imports (path) WHERE status = 'unresolved';

CREATE TABLE {schema}.module_dependencies (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    module_name VARCHAR(255) COLLATE "C" NOT NULL,
    version VARCHAR(100) COLLATE "C" NOT NULL,
    dependency_name VARCHAR(255) COLLATE "C" NOT NULL,
    dependency_version VARCHAR(100) COLLATE "C",
    import_path TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    FOREIGN KEY (module_name, version) REFERENCES {schema}.module_versions (module_name, version) ON DELETE CASCADE,
    UNIQUE (module_name, version, dependency_name, import_path)
);
CREATE INDEX idx_dependencies_module ON {schema}.module_dependencies (module_name, version);
CREATE INDEX idx_dependencies_dep ON {schema}.module_dependencies (dependency_name);
CREATE INDEX idx_dependencies_dep_version ON {schema}.module_dependencies (dependency_name, dependency_version);

CREATE TABLE {schema}.module_requires (
    module_name VARCHAR(255) COLLATE "C" NOT NULL,
    version VARCHAR(100) COLLATE "C" NOT NULL,
    dependency_name VARCHAR(255) COLLATE "C" NOT NULL,
    required TEXT,
    locked VARCHAR(100) COLLATE "C",
    PRIMARY KEY (module_name, version, dependency_name),
    FOREIGN KEY (module_name, version) REFERENCES {schema}.module_versions (module_name, version) ON DELETE CASCADE,
    CONSTRAINT module_requires_says_something CHECK (required IS NOT NULL OR locked IS NOT NULL)
);

CREATE TABLE {schema}.module_audit (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at TIMESTAMPTZ NOT NULL,
    actor TEXT,
    action VARCHAR(40) NOT NULL,
    module_name VARCHAR(255) COLLATE "C" NOT NULL,
    version VARCHAR(100),
    request_id TEXT,
    detail JSONB NOT NULL
);
CREATE INDEX idx_module_audit_module ON {schema}.module_audit (module_name, id);

CREATE TRIGGER module_owners_version_rises BEFORE UPDATE ON {schema}.module_owners
FOR EACH ROW EXECUTE FUNCTION {schema}.refuse_older_version();
CREATE TRIGGER modules_version_rises BEFORE UPDATE ON {schema}.modules
FOR EACH ROW EXECUTE FUNCTION {schema}.refuse_older_version();
CREATE TRIGGER module_versions_version_rises BEFORE UPDATE ON {schema}.module_versions
FOR EACH ROW EXECUTE FUNCTION {schema}.refuse_older_version();
