-- oldest_code: 1
--
-- The same table, columns and indexes as on PostgreSQL; read the head of its 006_module_requires.up.sql for what they mean.

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

CREATE INDEX idx_module_files_path ON module_files (path);
CREATE INDEX idx_dependencies_dep_version ON module_dependencies (dependency_name, dependency_version);
