-- Candidates of a search, a superset of the hits of a grade (plan/search.py), in the order of Key and from a Key on: what the
-- score needs of each, and nothing else. `metadata` is given where the caller has to look into it, as SQLite's does.
-- `narrow`: the words in the subject alone decide on the score, so the other texts are not read.
-- Patterns are in lower case, as search_text is: LIKE is several times faster than ILIKE there. t is the copy of the texts that has the trigram index.
--
-- list: candidate =
--     row.id::text AS id, row.subject, row.version_major, row.version_minor, row.version_patch, row.prerelease_key

-- name: all
-- Without a text.
-- columns: {candidate of s}, ''::text AS description, ''::text AS search_text, NULL::text AS metadata
SELECT {columns}
FROM {schema}.schemas AS s
WHERE
    s.deleted_at IS NULL
    AND (%(subject)s::text IS NULL OR s.subject = %(subject)s)
    AND (%(states)s::text[] IS NULL OR s.state = ANY(%(states)s))
    AND (%(schema_type)s::text IS NULL OR s.schema_type = %(schema_type)s)
    AND (%(tags)s::text[] IS NULL OR (s.metadata -> 'tags') ?& %(tags)s)
    AND (%(metadata)s::jsonb IS NULL OR s.metadata @> %(metadata)s)
    AND s.subject >= %(after)s
    AND (
        s.subject > %(after)s
        OR (s.version_major, s.version_minor, s.version_patch, s.prerelease_key)
        < (%(major)s, %(minor)s, %(patch)s, %(prerelease_key)s)
    )
ORDER BY s.subject, s.version_major DESC, s.version_minor DESC, s.version_patch DESC, s.prerelease_key DESC
LIMIT %(limit)s

-- name: subject
-- `pattern` is the longest word's, and finds the candidates by idx_schemas_search.
-- columns: {candidate of s},
--     CASE WHEN %(narrow)s::boolean THEN '' ELSE t.description END AS description,
--     CASE WHEN %(narrow)s::boolean THEN '' ELSE t.search_text END AS search_text,
--     NULL::text AS metadata
SELECT {columns}
FROM {schema}.schema_texts AS t
INNER JOIN {schema}.schemas AS s ON t.schema_id = s.id
WHERE
    s.deleted_at IS NULL
    AND t.subject ILIKE %(pattern)s AND t.subject ILIKE ALL(%(patterns)s::text[]) AND t.subject ILIKE ALL(%(prefixes)s::text[])
    AND (%(subject)s::text IS NULL OR s.subject = %(subject)s)
    AND (%(states)s::text[] IS NULL OR s.state = ANY(%(states)s))
    AND (%(schema_type)s::text IS NULL OR s.schema_type = %(schema_type)s)
    AND (%(tags)s::text[] IS NULL OR (s.metadata -> 'tags') ?& %(tags)s)
    AND (%(metadata)s::jsonb IS NULL OR s.metadata @> %(metadata)s)
    AND s.subject >= %(after)s
    AND (
        s.subject > %(after)s
        OR (s.version_major, s.version_minor, s.version_patch, s.prerelease_key)
        < (%(major)s, %(minor)s, %(patch)s, %(prerelease_key)s)
    )
ORDER BY s.subject, s.version_major DESC, s.version_minor DESC, s.version_patch DESC, s.prerelease_key DESC
LIMIT %(limit)s

-- name: prefix
-- Of words under three letters only. The ranges are those of one word in upper and lower case.
-- columns: {candidate of s}, ''::text AS description, ''::text AS search_text, NULL::text AS metadata
SELECT {columns}
FROM {schema}.schemas AS s
WHERE
    s.deleted_at IS NULL
    AND (
        (s.subject >= %(from_1)s AND s.subject < %(to_1)s) OR (s.subject >= %(from_2)s AND s.subject < %(to_2)s)
        OR (s.subject >= %(from_3)s AND s.subject < %(to_3)s) OR (s.subject >= %(from_4)s AND s.subject < %(to_4)s)
    )
    AND s.subject ILIKE ALL(%(prefixes)s::text[])
    AND (%(subject)s::text IS NULL OR s.subject = %(subject)s)
    AND (%(states)s::text[] IS NULL OR s.state = ANY(%(states)s))
    AND (%(schema_type)s::text IS NULL OR s.schema_type = %(schema_type)s)
    AND (%(tags)s::text[] IS NULL OR (s.metadata -> 'tags') ?& %(tags)s)
    AND (%(metadata)s::jsonb IS NULL OR s.metadata @> %(metadata)s)
    AND s.subject >= %(after)s
    AND (
        s.subject > %(after)s
        OR (s.version_major, s.version_minor, s.version_patch, s.prerelease_key)
        < (%(major)s, %(minor)s, %(patch)s, %(prerelease_key)s)
    )
ORDER BY s.subject, s.version_major DESC, s.version_minor DESC, s.version_patch DESC, s.prerelease_key DESC
LIMIT %(limit)s

-- name: anywhere
-- `second` is another word, or the same one again: with both the planner knows how few rows have the two.
-- Found first, by the texts alone: without statistics yet the planner would begin with all schemas instead.
-- columns: {candidate of s}, f.description, f.search_text, NULL::text AS metadata
WITH found AS MATERIALIZED (
    SELECT t.schema_id, t.description, t.search_text
    FROM {schema}.schema_texts AS t
    WHERE
        (t.search_text LIKE %(pattern)s OR t.subject ILIKE %(pattern)s OR t.description ILIKE %(pattern)s)
        AND (
            %(second)s = %(lead)s OR t.search_text LIKE %(second_pattern)s
            OR t.subject ILIKE %(second_pattern)s OR t.description ILIKE %(second_pattern)s
        )
        AND NOT EXISTS (
            SELECT 1 FROM unnest(%(patterns)s::text[]) AS p (pattern)
            WHERE NOT (t.search_text LIKE p.pattern OR t.subject ILIKE p.pattern OR t.description ILIKE p.pattern)
        )
        AND t.subject ILIKE ALL(%(prefixes)s::text[])
        AND (%(subject)s::text IS NULL OR t.subject = %(subject)s)
        AND t.subject >= %(after)s
)
SELECT {columns}
FROM found AS f
INNER JOIN {schema}.schemas AS s ON f.schema_id = s.id
WHERE
    s.deleted_at IS NULL
    AND (%(states)s::text[] IS NULL OR s.state = ANY(%(states)s))
    AND (%(schema_type)s::text IS NULL OR s.schema_type = %(schema_type)s)
    AND (%(tags)s::text[] IS NULL OR (s.metadata -> 'tags') ?& %(tags)s)
    AND (%(metadata)s::jsonb IS NULL OR s.metadata @> %(metadata)s)
    AND (
        s.subject > %(after)s
        OR (s.version_major, s.version_minor, s.version_patch, s.prerelease_key)
        < (%(major)s, %(minor)s, %(patch)s, %(prerelease_key)s)
    )
ORDER BY s.subject, s.version_major DESC, s.version_minor DESC, s.version_patch DESC, s.prerelease_key DESC
LIMIT %(limit)s

-- name: walk
-- Every row that passes the filters.
-- columns: {candidate of s}, s.description, s.search_text, NULL::text AS metadata
SELECT {columns}
FROM {schema}.schemas AS s
WHERE
    s.deleted_at IS NULL
    AND (%(subject)s::text IS NULL OR s.subject = %(subject)s)
    AND (%(states)s::text[] IS NULL OR s.state = ANY(%(states)s))
    AND (%(schema_type)s::text IS NULL OR s.schema_type = %(schema_type)s)
    AND (%(tags)s::text[] IS NULL OR (s.metadata -> 'tags') ?& %(tags)s)
    AND (%(metadata)s::jsonb IS NULL OR s.metadata @> %(metadata)s)
    AND s.subject >= %(after)s
    AND (
        s.subject > %(after)s
        OR (s.version_major, s.version_minor, s.version_patch, s.prerelease_key)
        < (%(major)s, %(minor)s, %(patch)s, %(prerelease_key)s)
    )
ORDER BY s.subject, s.version_major DESC, s.version_minor DESC, s.version_patch DESC, s.prerelease_key DESC
LIMIT %(limit)s

-- name: similar
-- `lead` and `second` are the two rarest words (or one word twice); how similar is similar enough is pg_trgm's own word_similarity_threshold.
-- Found first and ordered afterwards: word_similarity costs tens of microseconds a row, so that walking the rows in order would be slow.
-- Each condition by itself: without statistics yet the planner would compare every row with all of them.
-- Only the rarest word is the index's: the planner takes all similar words for equally rare.
-- columns: {candidate of s}, f.description, f.search_text, NULL::text AS metadata
WITH near AS MATERIALIZED (
    SELECT t.schema_id FROM {schema}.schema_texts AS t
    WHERE t.subject ILIKE %(pattern)s OR t.description ILIKE %(pattern)s OR t.search_text LIKE %(pattern)s
    UNION
    SELECT t.schema_id FROM {schema}.schema_texts AS t WHERE t.subject OPERATOR({trgm}.%%>) %(lead)s
    UNION
    SELECT t.schema_id FROM {schema}.schema_texts AS t WHERE t.description OPERATOR({trgm}.%%>) %(lead)s
    UNION
    SELECT t.schema_id FROM {schema}.schema_texts AS t WHERE t.search_text OPERATOR({trgm}.%%>) %(lead)s
)
SELECT {columns}
FROM near AS n
INNER JOIN {schema}.schema_texts AS f ON n.schema_id = f.schema_id
INNER JOIN {schema}.schemas AS s ON n.schema_id = s.id
WHERE
    (
        %(second)s = %(lead)s OR f.search_text LIKE %(second_pattern)s
        OR f.subject ILIKE %(second_pattern)s OR f.description ILIKE %(second_pattern)s
        OR f.subject OPERATOR({trgm}.%%>) %(second)s OR f.description OPERATOR({trgm}.%%>) %(second)s OR f.search_text OPERATOR({trgm}.%%>) %(second)s
    )
    AND EXISTS (
        SELECT 1 FROM unnest(%(contained)s::text[]) AS p (pattern)
        WHERE NOT (f.search_text LIKE p.pattern OR f.subject ILIKE p.pattern OR f.description ILIKE p.pattern)
    )
    AND s.deleted_at IS NULL
    AND s.subject ILIKE ALL(%(prefixes)s::text[])
    AND (%(subject)s::text IS NULL OR s.subject = %(subject)s)
    AND s.subject >= %(after)s
    AND (%(states)s::text[] IS NULL OR s.state = ANY(%(states)s))
    AND (%(schema_type)s::text IS NULL OR s.schema_type = %(schema_type)s)
    AND (%(tags)s::text[] IS NULL OR (s.metadata -> 'tags') ?& %(tags)s)
    AND (%(metadata)s::jsonb IS NULL OR s.metadata @> %(metadata)s)
    AND (
        s.subject > %(after)s
        OR (s.version_major, s.version_minor, s.version_patch, s.prerelease_key)
        < (%(major)s, %(minor)s, %(patch)s, %(prerelease_key)s)
    )
ORDER BY s.subject, s.version_major DESC, s.version_minor DESC, s.version_patch DESC, s.prerelease_key DESC
LIMIT %(limit)s

-- name: added
-- What a process has not read yet for its index: rows behind (:at, :id) of transactions that its snapshot `seen` did not see, NULL for none.
-- `seen` is what this reading sees; the other columns are NULL if there is nothing. A number that no transaction has had yet comes from
-- the server that a dump was taken of: such rows are read once, with the first.
-- columns: {candidate of n}, n.description, n.search_text, n.registered_by AS at, pg_current_snapshot()::text AS seen
SELECT {columns}
FROM (VALUES (1)) AS one (one)
LEFT JOIN LATERAL (
    SELECT
        s.registered_by, s.id, s.subject, s.version_major, s.version_minor, s.version_patch, s.prerelease_key, s.description, s.search_text
    FROM {schema}.schemas AS s
    WHERE
        s.purged_at IS NULL
        AND (s.registered_by, s.id) > (%(at)s::bigint::text::xid8, %(id)s::uuid)
        AND (
            %(seen)s::text IS NULL
            OR (
                NOT pg_visible_in_snapshot(s.registered_by, %(seen)s::text::pg_snapshot)
                AND s.registered_by < pg_snapshot_xmax(pg_current_snapshot())
            )
        )
    ORDER BY s.registered_by, s.id
    LIMIT %(limit)s
) AS n ON TRUE

-- name: among
-- Of the rows that the index of a process proposes those that are there and pass the filters, each by its number among them. One after
-- the other (LIMIT): the planner would rather read a whole table of which it has no statistics yet.
SELECT (k.number - 1)::integer, s.description, s.search_text, NULL::text
FROM unnest(%(ids)s::uuid[]) WITH ORDINALITY AS k (id, number)
CROSS JOIN LATERAL (
    SELECT
        CASE WHEN %(narrow)s::boolean THEN '' ELSE c.description END AS description,
        CASE WHEN %(narrow)s::boolean THEN '' ELSE c.search_text END AS search_text
    FROM {schema}.schemas AS c
    WHERE
        c.id = k.id AND c.deleted_at IS NULL
        AND (%(states)s::text[] IS NULL OR c.state = ANY(%(states)s))
        AND (%(schema_type)s::text IS NULL OR c.schema_type = %(schema_type)s)
        AND (%(tags)s::text[] IS NULL OR (c.metadata -> 'tags') ?& %(tags)s)
        AND (%(metadata)s::jsonb IS NULL OR c.metadata @> %(metadata)s)
    LIMIT 1
) AS s
ORDER BY k.number
