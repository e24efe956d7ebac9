DROP TABLE module_audit;
DROP TABLE module_requires;
DROP TABLE module_dependencies;
DROP TABLE module_imports;
DROP TABLE module_files;
DROP TABLE module_versions;
DROP TABLE modules;
DROP TABLE module_owners;
