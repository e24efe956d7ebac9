DROP TABLE state_changes;
DROP TABLE state;
DELETE FROM tierstore_meta WHERE key LIKE 'state%';
