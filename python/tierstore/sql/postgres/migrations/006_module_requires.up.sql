-- oldest_code: 1
--
-- module_requires   What a version requires of other modules: required: the constraint that it was created with; locked: the version in its
--                   lockfile, without build metadata, which goes before the constraint.
-- idx_module_files_path finds who has the file of an import, idx_dependencies_dep_version who depends on a version.

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

CREATE INDEX idx_module_files_path ON {schema}.module_files (path);
CREATE INDEX idx_dependencies_dep_version ON {schema}.module_dependencies (dependency_name, dependency_version);
