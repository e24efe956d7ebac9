DROP TABLE {schema}.notes;
