DROP INDEX {schema}.idx_dependencies_dep_version;
DROP INDEX {schema}.idx_module_files_path;
DROP TABLE {schema}.module_requires;
