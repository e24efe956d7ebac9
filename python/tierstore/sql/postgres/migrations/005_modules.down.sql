DROP TABLE {schema}.module_audit;
DROP TABLE {schema}.module_requires;
DROP TABLE {schema}.module_dependencies;
DROP TABLE {schema}.module_imports;
DROP TABLE {schema}.module_files;
DROP TABLE {schema}.module_versions;
DROP TABLE {schema}.modules;
DROP TABLE {schema}.module_owners;
