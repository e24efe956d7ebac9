"""At 100,000 rows both engines answer by their indexes: what EXPLAIN says of the named queries themselves."""

from __future__ import annotations

import asyncio
import sqlite3

import psycopg
import pytest

from tierstore.backends.postgres.records import PostgresRecords
from tierstore.backends.sqlite.records import SqliteRecords
from tierstore.plan.search import FIRST, fts_contains, fts_similar, terms, words_of
from tierstore.runtime import AsyncioRuntime
from tierstore.sql import load_queries, qualified
from tierstore.tiers.migrate import Migrator

ROWS = 100_000
FILTERS = {"subject": None, "states": None, "schema_type": None, "tags": None, "metadata": None, "limit": 320}
START = dict(zip(("after", "major", "minor", "patch", "prerelease_key"), FIRST, strict=True))

FILL_POSTGRES = """
INSERT INTO subjects SELECT 'team' || n % 997 || '.' || md5(n::text), n FROM generate_series(1, {rows}) AS n;
INSERT INTO schemas (
    id, subject, version_major, version_minor, version_patch, prerelease, prerelease_key, schema_type, content, metadata,
    search_text, body, content_digest, content_size, placement, row_version
)
SELECT
    gen_random_uuid(), 'team' || n % 997 || '.' || md5(n::text), 1, 0, 0, '', '\\xff', 'json', '{{}}',
    CASE WHEN n % 1000 = 0 THEN '{{"tags": ["rare"]}}'::jsonb ELSE '{{"tags": ["common"]}}' END,
    md5((n + 1)::text) || ' ' || md5((n + 2)::text), '', 'd', 0, 'inline', n
FROM generate_series(1, {rows}) AS n;
"""

FILL_SQLITE = """
CREATE TEMP TABLE numbers AS
WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT {rows})
SELECT n, printf('team%d.%08x', n % 997, n * 2654435761 % 4294967296) AS subject FROM n;
INSERT INTO subjects SELECT subject, n FROM numbers;
INSERT INTO schemas (
    id, subject, version_major, version_minor, version_patch, prerelease, prerelease_key, schema_type, content, metadata,
    search_text, body, content_digest, content_size, placement, row_version, created_at, updated_at
)
SELECT
    printf('%032x', n), subject, 1, 0, 0, '', x'ff', 'json', '{{}}', '{{"tags": ["common"]}}',
    printf('%08x %08x', n * 2246822519 % 4294967296, n * 3266489917 % 4294967296), x'', 'd', 0, 'inline', n, 0, 0
FROM numbers;
"""


@pytest.fixture(scope="module")
def postgres_rows(postgres):
    url = postgres.create_database()

    async def migrate():
        runtime = AsyncioRuntime()
        records = PostgresRecords(runtime, url, max_connections=4, min_connections=1)
        await records.open(runtime.deadline(10))
        await Migrator(records, budget=lambda: runtime.deadline(60)).up()
        await records.close(runtime.deadline(5))

    asyncio.run(migrate())
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET pg_trgm.word_similarity_threshold = 0.6")
        connection.execute("SET maintenance_work_mem = '256MB'")
        for statement in FILL_POSTGRES.format(rows=ROWS).split(";"):
            connection.execute(statement)
        connection.execute("VACUUM ANALYZE")
        yield connection


@pytest.fixture(scope="module")
def sqlite_rows(tmp_path_factory):
    path = tmp_path_factory.mktemp("plans") / "tierstore.db"

    async def migrate():
        runtime = AsyncioRuntime()
        records = SqliteRecords(runtime, path)
        await records.open(runtime.deadline(10))
        await Migrator(records, budget=lambda: runtime.deadline(60)).up()
        await records.close(runtime.deadline(5))

    asyncio.run(migrate())
    connection = sqlite3.connect(path)
    connection.executescript(FILL_SQLITE.format(rows=ROWS))
    yield connection
    connection.close()


def explain_postgres(connection, query, **params):
    text = qualified(load_queries("postgres")[query].text, schema="public", trgm="public")
    rows = connection.execute("EXPLAIN " + text, FILTERS | START | params).fetchall()
    return "\n".join(row[0] for row in rows)


def explain_sqlite(connection, query, **params):
    import orjson

    given = {
        name: orjson.dumps(value).decode() if isinstance(value, list) else value
        for name, value in (FILTERS | START | params).items()
    }
    rows = connection.execute("EXPLAIN QUERY PLAN " + load_queries("sqlite")[query].text, given).fetchall()
    return "\n".join(row[3] for row in rows)


@pytest.mark.requirement("S1-12", "S1-18", "S1-40")
@pytest.mark.parametrize("tier", ["subject", "anywhere", "similar"])
def test_postgres_searches_by_trigrams(postgres_rows, tier):
    plan = explain_postgres(postgres_rows, f"schemas_search.{tier}", **terms(words_of("custmer")))
    assert "idx_schemas_search" in plan, plan
    assert "Seq Scan" not in plan, plan


@pytest.mark.requirement("S1-18", "S1-43")
def test_postgres_finds_tags_by_their_index(postgres_rows):
    plan = explain_postgres(postgres_rows, "schemas_search.all", tags=["rare"])
    assert "idx_schemas_tags" in plan, plan


@pytest.mark.requirement("S1-16", "S1-18", "S1-42")
def test_postgres_finds_the_latest_by_the_index_alone(postgres_rows):
    states = ["active", "deprecated"]
    plan = explain_postgres(postgres_rows, "schemas.get_latest", subjects=["team1.x"], states=states, prerelease=False)
    assert "Index Only Scan using idx_schemas_latest" in plan, plan
    assert "Seq Scan on schemas" not in plan, plan


@pytest.mark.requirement("S1-18")
def test_postgres_lists_and_pages_by_index(postgres_rows):
    plans = [
        explain_postgres(postgres_rows, "schemas.list", subject="team1.x"),
        explain_postgres(postgres_rows, "schemas_search.all", after="team5"),
        explain_postgres(postgres_rows, "schemas.subjects", prefix="team5", end="team6", after=""),
    ]
    assert all("Seq Scan" not in plan for plan in plans), plans


@pytest.mark.requirement("S1-12")
@pytest.mark.parametrize("tier", ["subject", "anywhere", "similar"])
def test_sqlite_searches_by_trigrams(sqlite_rows, tier):
    words = words_of("custmer")
    fts = fts_similar("custmer") if tier == "similar" else fts_contains(words.long)
    plan = explain_sqlite(sqlite_rows, f"schemas_search.{tier}", **terms(words), fts=fts)
    assert "SCAN f VIRTUAL TABLE INDEX" in plan, plan
    assert "SCAN s" not in plan, plan


@pytest.mark.requirement("S1-42")
def test_sqlite_finds_the_latest_by_the_index_alone(sqlite_rows):
    states = ["active", "deprecated"]
    plan = explain_sqlite(sqlite_rows, "schemas.get_latest", subjects=["team1.x"], states=states, prerelease=False)
    assert "USING COVERING INDEX idx_schemas_latest" in plan, plan
    assert "SCAN s" not in plan.replace("SCAN subjects", ""), plan


def test_sqlite_lists_and_pages_by_index(sqlite_rows):
    plans = [
        explain_sqlite(sqlite_rows, "schemas.list", subject="team1.x"),
        explain_sqlite(sqlite_rows, "schemas_search.all", after="team5"),
        explain_sqlite(sqlite_rows, "schemas.get_many", ids=["x"]),
        explain_sqlite(sqlite_rows, "schemas.subjects", prefix="team5", end="team6", after=""),
    ]
    assert all("USE TEMP B-TREE FOR ORDER BY" not in plan for plan in plans[:1]), plans
    assert all("SCAN s\n" not in plan + "\n" for plan in plans), plans
