"""The indexes of the document answer the queries that it shows, at 20,000 rows."""

from __future__ import annotations

import sqlite3

import psycopg
import pytest

from tests.contract.engines import PostgresEngine, SqliteEngine

ROWS = 20_000
LATEST = (
    "SELECT id, subject, version_major, version_minor, version_patch FROM schemas"
    " WHERE subject = 's7' AND deleted_at IS NULL"
    " ORDER BY version_major DESC, version_minor DESC, version_patch DESC LIMIT 1"
)
COLUMNS = (
    "id, subject, version_major, version_minor, version_patch, prerelease, prerelease_key, schema_type, state, content,"
    " metadata, search_text, body, content_digest, content_size, placement, row_version"
)
FILL = f"""
INSERT INTO subjects SELECT 's' || n, n + 1 FROM generate_series(0, 999) AS n;
INSERT INTO schemas ({COLUMNS})
SELECT gen_random_uuid(), 's' || n % 1000, 1, n / 1000, 0, '', '\\xff', 'json', 'active', jsonb_build_object('n', n),
    jsonb_build_object('tags', jsonb_build_array('t' || n % 5000), 'owner', 'o' || n % 5000), 'word' || md5(n::text),
    '\\x00', 'd', 1, 'inline', n + 1
FROM generate_series(0, {ROWS} - 1) AS n;
"""


def plan_of(connection: psycopg.Connection, query: str) -> str:
    return "\n".join(row[0] for row in connection.execute(f"EXPLAIN {query}".encode()))


@pytest.fixture
def filled(pg: PostgresEngine) -> PostgresEngine:
    records = pg.migrated()
    pg.face.run(fill, records, pg)
    with psycopg.connect(pg.url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE schemas, schema_texts")
    return pg


async def fill(records, engine) -> None:
    await records.script(FILL, transaction=True, deadline=engine.runtime.deadline(60))


@pytest.mark.parametrize("face", ["blocking"], indirect=True)
@pytest.mark.requirement("S1-16", "S1-18", "S1-40", "S1-42", "S1-43", "S1-12")
def test_postgres_answers_the_queries_of_the_document_by_index(filled: PostgresEngine) -> None:
    by_index = {
        LATEST: "Index Only Scan using idx_schemas_latest",
        "SELECT * FROM schemas WHERE metadata->'tags' ? 't7' AND deleted_at IS NULL": "idx_schemas_tags",
        'SELECT * FROM schemas WHERE metadata @> \'{"owner": "o7"}\'': "idx_schemas_metadata",
        "SELECT * FROM schemas WHERE content @> '{\"n\": 7}'": "idx_schemas_content",
        "SELECT schema_id FROM schema_texts WHERE (subject ILIKE '%c4ca42%' OR description ILIKE '%c4ca42%'"
        " OR search_text ILIKE '%c4ca42%')": "idx_schemas_search",
        "SELECT * FROM schemas WHERE subject = 's7' AND version_major = 1 AND version_minor = 3": "unique_subject_version",
        "SELECT state, count(*), sum(content_size) FROM schemas WHERE deleted_at IS NULL AND state = 'draft' GROUP BY 1": (
            "Index Only Scan using idx_schemas_state"
        ),
    }
    with psycopg.connect(filled.url) as connection:
        for query, index in by_index.items():
            assert index in plan_of(connection, query), query


@pytest.mark.parametrize("face", ["blocking"], indirect=True)
@pytest.mark.requirement("S1-16", "S1-18", "S1-42")
def test_sqlite_answers_the_latest_from_its_index_alone(lite: SqliteEngine) -> None:
    lite.migrated()
    connection = sqlite3.connect(lite.path)
    plan = " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {LATEST}"))
    assert "COVERING INDEX idx_schemas_latest" in plan
    assert "TEMP B-TREE" not in plan
    connection.close()


@pytest.mark.parametrize("face", ["blocking"], indirect=True)
@pytest.mark.requirement("S1-36", "S1-37", "S1-41")
def test_popular_schemas_counts_accesses(filled: PostgresEngine) -> None:
    with psycopg.connect(filled.url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO schema_access_log SELECT id, date_trunc('hour', now()) - make_interval(hours => h), 10 * (h + 1), now()"
            " FROM (SELECT id FROM schemas ORDER BY row_version LIMIT 3) AS s, generate_series(0, 1) AS h"
        )
        assert connection.execute("SELECT count(*) FROM popular_schemas").fetchone() == (0,)
        connection.execute("REFRESH MATERIALIZED VIEW CONCURRENTLY popular_schemas")
        rows = connection.execute(
            "SELECT access_count FROM popular_schemas ORDER BY access_count DESC LIMIT 100"
        ).fetchall()
        assert rows == [(30,)] * 3
        versions = connection.execute("SELECT count(*) FROM subject_versions WHERE subject = 's7'").fetchone()
        assert versions == (20,)


TEXTS_OF = "SELECT xmin, description, search_text FROM schema_texts WHERE schema_id = %s"


@pytest.mark.parametrize("face", ["blocking"], indirect=True)
def test_the_searched_texts_follow_what_is_written_and_ignore_what_is_not_text(pg: PostgresEngine) -> None:
    records = pg.migrated()
    pg.face.run(fill, records, pg)
    with psycopg.connect(pg.url, autocommit=True) as connection:

        def texts() -> tuple | None:
            return connection.execute(TEXTS_OF, [one]).fetchone()

        def change(assignment: str) -> None:
            row = f"row_version = (SELECT max(row_version) FROM schemas) + 1, {assignment}"
            connection.execute(f"UPDATE schemas SET {row} WHERE id = %s".encode(), [one])

        one = connection.execute("SELECT id FROM schemas WHERE subject = 's7' LIMIT 1").fetchone()[0]
        before = texts()
        change("state = 'deprecated', deleted_at = now(), metadata = metadata || '{\"state_reason\": \"old\"}'")
        assert texts() == before  # the row itself, not an equal one
        change('metadata = \'{"description": "words"}\'')
        assert texts()[1:] == ("words", before[2])
        change("search_text = '', metadata = '{}', body = NULL, prerelease = NULL, purged_at = now()")
        assert texts() is None
        one = connection.execute("SELECT id FROM schemas WHERE subject = 's8' LIMIT 1").fetchone()[0]
        assert texts()
        connection.execute("DELETE FROM schemas WHERE id = %s", [one])
        assert texts() is None
