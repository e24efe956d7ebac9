DROP INDEX idx_dependencies_dep_version;
DROP INDEX idx_module_files_path;
DROP TABLE module_requires;
