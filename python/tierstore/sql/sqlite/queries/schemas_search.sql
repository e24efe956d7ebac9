-- Candidates of a search, a superset of the hits of a grade (plan/search.py), in the order of Key and from a Key on: what the
-- score needs of each, and nothing else. `metadata` is given where the caller has to look into it, as SQLite's does.
-- Those that end in _scan serve words of which the index knows no trigram, and subjects where it knows them of very many rows.
-- `narrow`: the words in the subject alone decide on the score, so the other texts are not read.
--
-- list: candidate =
--     row.id, row.subject, row.version_major, row.version_minor, row.version_patch, row.prerelease_key

-- name: all
-- slow
-- Without a text.
-- columns: {candidate of s}, '' AS description, '' AS search_text, CASE WHEN :metadata IS NOT NULL THEN s.metadata END AS metadata
SELECT {columns}
FROM (
    SELECT s.seq
    FROM schemas AS s
    WHERE
        s.deleted_at IS NULL
        AND (:subject IS NULL OR s.subject = :subject)
        AND (:states IS NULL OR s.state IN (SELECT j.value FROM json_each(:states) AS j))
        AND (:schema_type IS NULL OR s.schema_type = :schema_type)
        AND (
            :tags IS NULL OR NOT EXISTS (
                SELECT 1 FROM json_each(:tags) AS t
                WHERE NOT EXISTS (SELECT 1 FROM json_each(s.metadata, '$.tags') AS m WHERE m.value = t.value)
            )
        )
        AND s.subject >= :after
        AND (
            s.subject > :after
            OR (s.version_major, s.version_minor, s.version_patch, s.prerelease_key)
            < (:major, :minor, :patch, :prerelease_key)
        )
    ORDER BY s.subject, s.version_major DESC, s.version_minor DESC, s.version_patch DESC, s.prerelease_key DESC
    LIMIT :limit
) AS k
INNER JOIN schemas AS s ON s.seq = k.seq
ORDER BY s.subject, s.version_major DESC, s.version_minor DESC, s.version_patch DESC, s.prerelease_key DESC

-- name: walk
-- slow
-- Every row that passes the filters.
-- columns: {candidate of s}, s.description, s.search_text, CASE WHEN :metadata IS NOT NULL THEN s.metadata END AS metadata
SELECT {columns}
FROM (
    SELECT s.seq
    FROM schemas AS s
    WHERE
        s.deleted_at IS NULL
        AND (:subject IS NULL OR s.subject = :subject)
        AND (:states IS NULL OR s.state IN (SELECT j.value FROM json_each(:states) AS j))
        AND (:schema_type IS NULL OR s.schema_type = :schema_type)
        AND (
            :tags IS NULL OR NOT EXISTS (
                SELECT 1 FROM json_each(:tags) AS t
                WHERE NOT EXISTS (SELECT 1 FROM json_each(s.metadata, '$.tags') AS m WHERE m.value = t.value)
            )
        )
        AND s.subject >= :after
        AND (
            s.subject > :after
            OR (s.version_major, s.version_minor, s.version_patch, s.prerelease_key)
            < (:major, :minor, :patch, :prerelease_key)
        )
    ORDER BY s.subject, s.version_major DESC, s.version_minor DESC, s.version_patch DESC, s.prerelease_key DESC
    LIMIT :limit
) AS k
INNER JOIN schemas AS s ON s.seq = k.seq
ORDER BY s.subject, s.version_major DESC, s.version_minor DESC, s.version_patch DESC, s.prerelease_key DESC

-- name: proposed
-- How many rows the index proposes, at most :most.
SELECT count(*) FROM (SELECT 1 FROM schemas_fts AS f WHERE f.schemas_fts MATCH :fts LIMIT :most) AS p

-- name: subject
-- slow
-- columns: {candidate of s},
--     CASE WHEN :narrow THEN '' ELSE s.description END AS description,
--     CASE WHEN :narrow THEN '' ELSE s.search_text END AS search_text,
--     CASE WHEN :metadata IS NOT NULL THEN s.metadata END AS metadata
SELECT {columns}
FROM (
    SELECT s.seq
    FROM schemas_fts AS f
    CROSS JOIN schemas AS s ON s.seq = f.rowid
    WHERE
        f.schemas_fts MATCH :fts AND NOT EXISTS (SELECT 1 FROM json_each(:patterns) AS p WHERE s.subject NOT LIKE p.value ESCAPE '\')
        AND NOT EXISTS (SELECT 1 FROM json_each(:prefixes) AS p WHERE s.subject NOT LIKE p.value ESCAPE '\')
        AND s.deleted_at IS NULL
        AND (:subject IS NULL OR s.subject = :subject)
        AND (:states IS NULL OR s.state IN (SELECT j.value FROM json_each(:states) AS j))
        AND (:schema_type IS NULL OR s.schema_type = :schema_type)
        AND (
            :tags IS NULL OR NOT EXISTS (
                SELECT 1 FROM json_each(:tags) AS t
                WHERE NOT EXISTS (SELECT 1 FROM json_each(s.metadata, '$.tags') AS m WHERE m.value = t.value)
            )
        )
        AND s.subject >= :after
        AND (
            s.subject > :after
            OR (s.version_major, s.version_minor, s.version_patch, s.prerelease_key)
            < (:major, :minor, :patch, :prerelease_key)
        )
    ORDER BY s.subject, s.version_major DESC, s.version_minor DESC, s.version_patch DESC, s.prerelease_key DESC
    LIMIT :limit
) AS k
INNER JOIN schemas AS s ON s.seq = k.seq
ORDER BY s.subject, s.version_major DESC, s.version_minor DESC, s.version_patch DESC, s.prerelease_key DESC

-- name: prefix
-- slow
-- Of words under three letters only. The ranges are those of one word in upper and lower case.
-- columns: {candidate of s}, '' AS description, '' AS search_text, CASE WHEN :metadata IS NOT NULL THEN s.metadata END AS metadata
SELECT {columns}
FROM (
    SELECT s.seq
    FROM schemas AS s
    WHERE
        (
            (s.subject >= :from_1 AND s.subject < :to_1) OR (s.subject >= :from_2 AND s.subject < :to_2)
            OR (s.subject >= :from_3 AND s.subject < :to_3) OR (s.subject >= :from_4 AND s.subject < :to_4)
        )
        AND NOT EXISTS (SELECT 1 FROM json_each(:prefixes) AS p WHERE s.subject NOT LIKE p.value ESCAPE '\')
        AND s.deleted_at IS NULL
        AND (:subject IS NULL OR s.subject = :subject)
        AND (:states IS NULL OR s.state IN (SELECT j.value FROM json_each(:states) AS j))
        AND (:schema_type IS NULL OR s.schema_type = :schema_type)
        AND (
            :tags IS NULL OR NOT EXISTS (
                SELECT 1 FROM json_each(:tags) AS t
                WHERE NOT EXISTS (SELECT 1 FROM json_each(s.metadata, '$.tags') AS m WHERE m.value = t.value)
            )
        )
        AND s.subject >= :after
        AND (
            s.subject > :after
            OR (s.version_major, s.version_minor, s.version_patch, s.prerelease_key)
            < (:major, :minor, :patch, :prerelease_key)
        )
    ORDER BY s.subject, s.version_major DESC, s.version_minor DESC, s.version_patch DESC, s.prerelease_key DESC
    LIMIT :limit
) AS k
INNER JOIN schemas AS s ON s.seq = k.seq
ORDER BY s.subject, s.version_major DESC, s.version_minor DESC, s.version_patch DESC, s.prerelease_key DESC

-- name: subject_scan
-- slow
-- columns: {candidate of s},
--     CASE WHEN :narrow THEN '' ELSE s.description END AS description,
--     CASE WHEN :narrow THEN '' ELSE s.search_text END AS search_text,
--     CASE WHEN :metadata IS NOT NULL THEN s.metadata END AS metadata
SELECT {columns}
FROM (
    SELECT s.seq
    FROM schemas AS s
    WHERE
        NOT EXISTS (SELECT 1 FROM json_each(:patterns) AS p WHERE s.subject NOT LIKE p.value ESCAPE '\')
        AND NOT EXISTS (SELECT 1 FROM json_each(:prefixes) AS p WHERE s.subject NOT LIKE p.value ESCAPE '\')
        AND s.deleted_at IS NULL
        AND (:subject IS NULL OR s.subject = :subject)
        AND (:states IS NULL OR s.state IN (SELECT j.value FROM json_each(:states) AS j))
        AND (:schema_type IS NULL OR s.schema_type = :schema_type)
        AND (
            :tags IS NULL OR NOT EXISTS (
                SELECT 1 FROM json_each(:tags) AS t
                WHERE NOT EXISTS (SELECT 1 FROM json_each(s.metadata, '$.tags') AS m WHERE m.value = t.value)
            )
        )
        AND s.subject >= :after
        AND (
            s.subject > :after
            OR (s.version_major, s.version_minor, s.version_patch, s.prerelease_key)
            < (:major, :minor, :patch, :prerelease_key)
        )
    ORDER BY s.subject, s.version_major DESC, s.version_minor DESC, s.version_patch DESC, s.prerelease_key DESC
    LIMIT :limit
) AS k
INNER JOIN schemas AS s ON s.seq = k.seq
ORDER BY s.subject, s.version_major DESC, s.version_minor DESC, s.version_patch DESC, s.prerelease_key DESC

-- name: anywhere
-- slow
-- columns: {candidate of s}, s.description, s.search_text, CASE WHEN :metadata IS NOT NULL THEN s.metadata END AS metadata
SELECT {columns}
FROM (
    SELECT s.seq
    FROM schemas_fts AS f
    CROSS JOIN schemas AS s ON s.seq = f.rowid
    WHERE
        f.schemas_fts MATCH :fts AND NOT EXISTS (
            SELECT 1 FROM json_each(:patterns) AS p
            WHERE s.subject || char(10) || s.description || char(10) || s.search_text NOT LIKE p.value ESCAPE '\'
        )
        AND NOT EXISTS (SELECT 1 FROM json_each(:prefixes) AS p WHERE s.subject NOT LIKE p.value ESCAPE '\')
        AND s.deleted_at IS NULL
        AND (:subject IS NULL OR s.subject = :subject)
        AND (:states IS NULL OR s.state IN (SELECT j.value FROM json_each(:states) AS j))
        AND (:schema_type IS NULL OR s.schema_type = :schema_type)
        AND (
            :tags IS NULL OR NOT EXISTS (
                SELECT 1 FROM json_each(:tags) AS t
                WHERE NOT EXISTS (SELECT 1 FROM json_each(s.metadata, '$.tags') AS m WHERE m.value = t.value)
            )
        )
        AND s.subject >= :after
        AND (
            s.subject > :after
            OR (s.version_major, s.version_minor, s.version_patch, s.prerelease_key)
            < (:major, :minor, :patch, :prerelease_key)
        )
    ORDER BY s.subject, s.version_major DESC, s.version_minor DESC, s.version_patch DESC, s.prerelease_key DESC
    LIMIT :limit
) AS k
INNER JOIN schemas AS s ON s.seq = k.seq
ORDER BY s.subject, s.version_major DESC, s.version_minor DESC, s.version_patch DESC, s.prerelease_key DESC

-- name: anywhere_scan
-- slow
-- columns: {candidate of s}, s.description, s.search_text, CASE WHEN :metadata IS NOT NULL THEN s.metadata END AS metadata
SELECT {columns}
FROM (
    SELECT s.seq
    FROM schemas AS s
    WHERE
        NOT EXISTS (
            SELECT 1 FROM json_each(:patterns) AS p
            WHERE s.subject || char(10) || s.description || char(10) || s.search_text NOT LIKE p.value ESCAPE '\'
        )
        AND NOT EXISTS (SELECT 1 FROM json_each(:prefixes) AS p WHERE s.subject NOT LIKE p.value ESCAPE '\')
        AND s.deleted_at IS NULL
        AND (:subject IS NULL OR s.subject = :subject)
        AND (:states IS NULL OR s.state IN (SELECT j.value FROM json_each(:states) AS j))
        AND (:schema_type IS NULL OR s.schema_type = :schema_type)
        AND (
            :tags IS NULL OR NOT EXISTS (
                SELECT 1 FROM json_each(:tags) AS t
                WHERE NOT EXISTS (SELECT 1 FROM json_each(s.metadata, '$.tags') AS m WHERE m.value = t.value)
            )
        )
        AND s.subject >= :after
        AND (
            s.subject > :after
            OR (s.version_major, s.version_minor, s.version_patch, s.prerelease_key)
            < (:major, :minor, :patch, :prerelease_key)
        )
    ORDER BY s.subject, s.version_major DESC, s.version_minor DESC, s.version_patch DESC, s.prerelease_key DESC
    LIMIT :limit
) AS k
INNER JOIN schemas AS s ON s.seq = k.seq
ORDER BY s.subject, s.version_major DESC, s.version_minor DESC, s.version_patch DESC, s.prerelease_key DESC

-- name: similar
-- slow
-- columns: {candidate of s}, s.description, s.search_text, CASE WHEN :metadata IS NOT NULL THEN s.metadata END AS metadata
SELECT {columns}
FROM (
    SELECT s.seq
    FROM schemas_fts AS f
    CROSS JOIN schemas AS s ON s.seq = f.rowid
    WHERE
        f.schemas_fts MATCH :fts
        AND EXISTS (
            SELECT 1 FROM json_each(:contained) AS p
            WHERE s.subject || char(10) || s.description || char(10) || s.search_text NOT LIKE p.value ESCAPE '\'
        )
        AND NOT EXISTS (SELECT 1 FROM json_each(:prefixes) AS p WHERE s.subject NOT LIKE p.value ESCAPE '\')
        AND s.deleted_at IS NULL
        AND (:subject IS NULL OR s.subject = :subject)
        AND (:states IS NULL OR s.state IN (SELECT j.value FROM json_each(:states) AS j))
        AND (:schema_type IS NULL OR s.schema_type = :schema_type)
        AND (
            :tags IS NULL OR NOT EXISTS (
                SELECT 1 FROM json_each(:tags) AS t
                WHERE NOT EXISTS (SELECT 1 FROM json_each(s.metadata, '$.tags') AS m WHERE m.value = t.value)
            )
        )
        AND s.subject >= :after
        AND (
            s.subject > :after
            OR (s.version_major, s.version_minor, s.version_patch, s.prerelease_key)
            < (:major, :minor, :patch, :prerelease_key)
        )
    ORDER BY s.subject, s.version_major DESC, s.version_minor DESC, s.version_patch DESC, s.prerelease_key DESC
    LIMIT :limit
) AS k
INNER JOIN schemas AS s ON s.seq = k.seq
ORDER BY s.subject, s.version_major DESC, s.version_minor DESC, s.version_patch DESC, s.prerelease_key DESC

-- name: similar_scan
-- slow
-- columns: {candidate of s}, s.description, s.search_text, CASE WHEN :metadata IS NOT NULL THEN s.metadata END AS metadata
SELECT {columns}
FROM (
    SELECT s.seq
    FROM schemas AS s
    WHERE
        EXISTS (
            SELECT 1 FROM json_each(:contained) AS p
            WHERE s.subject || char(10) || s.description || char(10) || s.search_text NOT LIKE p.value ESCAPE '\'
        )
        AND NOT EXISTS (SELECT 1 FROM json_each(:prefixes) AS p WHERE s.subject NOT LIKE p.value ESCAPE '\')
        AND s.deleted_at IS NULL
        AND (:subject IS NULL OR s.subject = :subject)
        AND (:states IS NULL OR s.state IN (SELECT j.value FROM json_each(:states) AS j))
        AND (:schema_type IS NULL OR s.schema_type = :schema_type)
        AND (
            :tags IS NULL OR NOT EXISTS (
                SELECT 1 FROM json_each(:tags) AS t
                WHERE NOT EXISTS (SELECT 1 FROM json_each(s.metadata, '$.tags') AS m WHERE m.value = t.value)
            )
        )
        AND s.subject >= :after
        AND (
            s.subject > :after
            OR (s.version_major, s.version_minor, s.version_patch, s.prerelease_key)
            < (:major, :minor, :patch, :prerelease_key)
        )
    ORDER BY s.subject, s.version_major DESC, s.version_minor DESC, s.version_patch DESC, s.prerelease_key DESC
    LIMIT :limit
) AS k
INNER JOIN schemas AS s ON s.seq = k.seq
ORDER BY s.subject, s.version_major DESC, s.version_minor DESC, s.version_patch DESC, s.prerelease_key DESC

-- name: added
-- slow
-- What a process has not read yet for its index: rows behind :at. They are numbered in the order of the commits.
-- columns: {candidate of s}, s.description, s.search_text, s.seq AS at, '' AS seen
SELECT {columns}
FROM schemas AS s
WHERE s.seq > :at AND s.purged_at IS NULL
ORDER BY s.seq
LIMIT :limit

-- name: among
-- slow
-- Of the rows that the index of a process proposes those that are there and pass the filters, each by its number among them.
SELECT
    k.key, CASE WHEN :narrow THEN '' ELSE s.description END, CASE WHEN :narrow THEN '' ELSE s.search_text END,
    CASE WHEN :metadata IS NOT NULL THEN s.metadata END
FROM json_each(:ids) AS k
CROSS JOIN schemas AS s ON s.id = k.value
WHERE
    s.deleted_at IS NULL
    AND (:states IS NULL OR s.state IN (SELECT j.value FROM json_each(:states) AS j))
    AND (:schema_type IS NULL OR s.schema_type = :schema_type)
    AND (
        :tags IS NULL OR NOT EXISTS (
            SELECT 1 FROM json_each(:tags) AS t
            WHERE NOT EXISTS (SELECT 1 FROM json_each(s.metadata, '$.tags') AS m WHERE m.value = t.value)
        )
    )
ORDER BY k.key
