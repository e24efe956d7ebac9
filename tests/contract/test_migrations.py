"""Migrations on both engines: up, down, status, a changed file, two at once, old code beside a newer database."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import psycopg
import pytest

from tests.contract.engines import Engine, PostgresEngine, SqliteEngine, queries_of
from tierstore import errors
from tierstore.plan.migrations import Applied, Migration, check, parse, statements
from tierstore.runtime import ThreadsRuntime, drive
from tierstore.sql import MigrationFile, load_migrations, load_queries, qualified
from tierstore.tiers.migrate import Migrator

TABLES = ["idempotency", "outbox", "schema_access_log", "schemas", "subjects"]


def pair(number: int, name: str, up: str, down: str) -> tuple[MigrationFile, MigrationFile]:
    return MigrationFile(number, name, "up", up), MigrationFile(number, name, "down", down)


def own(*pairs: tuple[MigrationFile, MigrationFile]) -> tuple[Migration, ...]:
    return parse([file for files in pairs for file in files])


FIRST = pair(1, "first", "CREATE TABLE one (a INTEGER);", "DROP TABLE one;")
SECOND = pair(2, "second", "CREATE TABLE two (a INTEGER);\nINSERT INTO two VALUES (1);", "DROP TABLE two;")


def newer(oldest_code: int) -> tuple[MigrationFile, MigrationFile]:
    return pair(9, "ninth", f"-- oldest_code: {oldest_code}\nCREATE TABLE three (a INTEGER);", "DROP TABLE three;")


def names_of(engine: Engine) -> list[str]:
    """What the dialect's migrations are called, in their order."""
    return [f"{each.number:03}_{each.name}" for each in load_migrations(engine.name) if each.direction == "up"]


@pytest.mark.requirement("S1-13", "S1-56", "S1-57", "S4-03")
def test_up_and_down_and_up_again(engine: Engine) -> None:
    records = engine.records()
    migrator = engine.migrator(records)
    names = names_of(engine)

    async def run() -> None:
        assert [(line.name, line.state) for line in await migrator.status()] == [(name, "pending") for name in names]
        assert await migrator.up(1) == names[:2] == ["000_protocol", "001_initial_schema"]
        assert await migrator.up() == names[2:]
        assert await migrator.up() == []
        found = await migrator.status()
        assert all(line.applied for line in found)
        assert all(isinstance(line.applied_at, int) for line in found)
        assert await migrator.down() == names[-1:]
        assert [line.state for line in await migrator.status()][-2:] == ["applied", "pending"]
        assert await migrator.down(len(names) - 1) == names[-2::-1]
        assert await migrator.down() == []
        assert await migrator.up() == names

    engine.face.run(run)


def test_the_protocol_stands_without_any_store(engine: Engine) -> None:
    """What the tiers ask for is there before the tables of a store are, and goes after them."""
    records = engine.records()
    migrator = engine.migrator(records)

    async def run() -> None:
        assert await migrator.up(0) == ["000_protocol"]
        deadline = engine.runtime.deadline(10)
        async with records.unit(deadline=deadline) as unit:
            await unit.execute("blobs.make_live", {"digest": "d", "size": 1, "tier": "row"})
            assert await unit.execute("protocol.claim_key", {"key": "k", "request": "r"}) == 1
            assert await unit.fetch("outbox.append", {"keys": ["x"], "versions": [await unit.fence()]})
        assert (await records.undelivered(after=-1, limit=9, deadline=deadline)).rows
        assert await migrator.down() == ["000_protocol"]
        assert await migrator.up() == names_of(engine)

    engine.face.run(run)


@pytest.mark.requirement("S1-17", "S1-36", "S1-37", "S1-41")
def test_the_tables_and_views_have_the_names_of_the_document(engine: Engine) -> None:
    engine.migrated()
    if isinstance(engine, SqliteEngine):
        connection = sqlite3.connect(engine.path)
        found = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")}
        connection.close()
    else:
        assert isinstance(engine, PostgresEngine)
        with psycopg.connect(engine.url) as pg:
            found = {row[0] for row in pg.execute("SELECT relname FROM pg_class WHERE relkind IN ('r', 'v', 'm')")}
            constraint = pg.execute(
                "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'unique_subject_version'"
            ).fetchone()
        assert constraint == ("UNIQUE (subject, version_major, version_minor, version_patch, prerelease)",)
    assert {*TABLES, "subject_versions", "popular_schemas"} <= found


def test_a_changed_migration_is_refused_by_name(engine: Engine) -> None:
    records = engine.records()
    changed = pair(1, "first", "CREATE TABLE one (a INTEGER, b INTEGER);", "DROP TABLE one;")

    async def run() -> None:
        await engine.migrator(records, migrations=own(FIRST)).up()
        altered = engine.migrator(records, migrations=own(changed, SECOND))
        assert [line.state for line in await altered.status()] == ["changed", "pending"]
        for call in (altered.up, altered.down):
            with pytest.raises(errors.ConflictError, match="001_first was changed"):
                await call()

    engine.face.run(run)


def test_a_migration_that_fails_leaves_nothing(engine: Engine) -> None:
    records = engine.records()
    broken = pair(2, "broken", "CREATE TABLE two (a INTEGER); INSERT INTO nowhere VALUES (1);", "DROP TABLE two;")

    async def run() -> None:
        with pytest.raises(errors.QueryError):
            await engine.migrator(records, migrations=own(FIRST, broken)).up()
        repaired = engine.migrator(records, migrations=own(FIRST, SECOND))
        assert [line.state for line in await repaired.status()] == ["applied", "pending"]
        assert await repaired.up() == ["002_second"]

    engine.face.run(run)


def test_without_transaction_each_statement_stands_alone(engine: Engine) -> None:
    records = engine.records()
    index = (
        "DROP INDEX CONCURRENTLY IF EXISTS by_a; CREATE INDEX CONCURRENTLY by_a ON one (a);"
        if engine.name == "postgres"
        else "DROP INDEX IF EXISTS by_a; CREATE INDEX by_a ON one (a);"
    )
    alone = pair(2, "index", f"-- no transaction\n{index}", "-- no transaction\nDROP INDEX by_a;")

    async def run() -> None:
        migrator = engine.migrator(records, migrations=own(FIRST, alone))
        assert await migrator.up() == ["001_first", "002_index"]
        assert await migrator.down() == ["002_index"]

    engine.face.run(run)


@pytest.mark.requirement("S1-13")
def test_old_code_goes_on_beside_a_newer_database_while_it_may(engine: Engine) -> None:
    records = engine.records()
    old = engine.migrator(records, migrations=own(FIRST, SECOND))

    async def run() -> None:
        await engine.migrator(records, migrations=own(FIRST, SECOND, newer(2))).up()
        assert await old.up() == []
        await old.ensure("check")
        assert [line.state for line in await old.status()] == ["applied", "applied", "newer"]
        with pytest.raises(errors.ConflictError, match="newer code"):
            await old.down()

    engine.face.run(run)


def test_old_code_is_refused_by_a_database_that_is_too_new(engine: Engine) -> None:
    records = engine.records()
    old = engine.migrator(records, migrations=own(FIRST, SECOND))

    async def run() -> None:
        await engine.migrator(records, migrations=own(FIRST, SECOND, newer(3))).up()
        for mode in ("auto", "check"):
            with pytest.raises(errors.ConflictError, match="install a newer tierstore"):
                await old.ensure(mode)  # type: ignore[arg-type]
        await old.ensure("never")

    engine.face.run(run)


def test_check_refuses_a_database_that_lacks_one(engine: Engine) -> None:
    records = engine.records()

    async def run() -> None:
        with pytest.raises(errors.ConflictError, match="migrate up"):
            await engine.migrator(records).ensure("check")
        await engine.migrator(records).ensure("auto")
        await engine.migrator(records).ensure("check")

    engine.face.run(run)


@pytest.mark.requirement("S1-56")
def test_two_at_once_apply_each_once(engine: Engine) -> None:
    applied: list[str] = []

    def apply() -> None:
        runtime = ThreadsRuntime()
        records = engine.make(runtime)

        async def run() -> None:
            await records.open(runtime.deadline(20))
            applied.extend(await Migrator(records, budget=lambda: runtime.deadline(20)).up())
            await records.close(runtime.deadline(5))

        drive(run())

    threads = [threading.Thread(target=apply) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(applied) == names_of(engine)


@pytest.mark.requirement("S1-11")
def test_every_named_query_can_be_prepared(engine: Engine) -> None:
    """Migrated first: the server checks every name and type in it. No search_path helps it to find one."""
    engine.migrated(**({"schema": "app"} if engine.name == "postgres" else {}))
    queries = {name: query for name, query in load_queries(engine.name).items() if query.text}
    if isinstance(engine, SqliteEngine):
        for name, query in queries.items():
            refusals = [_explained(path, query.text) for path in (engine.path, engine.path.with_name("staging.db"))]
            assert None in refusals, f"{name}: {refusals}"
        return
    assert isinstance(engine, PostgresEngine)
    with psycopg.connect(engine.url, autocommit=True, options="-c search_path=") as pg:
        for number, (name, query) in enumerate(queries.items()):
            try:
                pg.execute(
                    f"PREPARE q{number} AS {_numbered(qualified(query.text, schema='app', trgm='public'))}".encode()
                )
            except psycopg.Error as error:
                if not query.text.startswith("CREATE"):  # PREPARE takes none of these
                    pytest.fail(f"{name}: {error}")


def _explained(path: Path, text: str) -> str | None:
    """Why the database refuses the query; None if it does not."""
    connection = sqlite3.connect(path)
    connection.text_factory = bytes  # EXPLAIN prints operands that are no text
    try:
        parameters = dict.fromkeys(re.findall(r"(?<!:):(\w+)", text))
        connection.execute(f"EXPLAIN {text}", parameters).fetchall()
    except sqlite3.Error as error:
        return str(error)
    else:
        return None
    finally:
        connection.close()


def _numbered(text: str) -> str:
    names: list[str] = []

    def number(found: re.Match[str]) -> str:
        if found[1] not in names:
            names.append(found[1])
        return f"${names.index(found[1]) + 1}"

    return re.sub(r"%\((\w+)\)[sbt]", number, text).replace("%%", "%")


def test_both_dialects_have_the_same_queries_and_migrations() -> None:
    shared = re.compile(r"migrations\.|outbox\.")
    lite, pg = ({name for name in load_queries(it) if shared.match(name)} for it in ("sqlite", "postgres"))
    assert lite == pg
    for dialect in ("sqlite", "postgres"):
        parse(load_migrations(dialect))
    assert [file[:3] for file in load_migrations("sqlite")] == [file[:3] for file in load_migrations("postgres")]
    assert queries_of("sqlite")


def test_statements_end_at_semicolons_outside_quotes() -> None:
    text = """
    -- a remark; here
    CREATE FUNCTION f() AS $body$ BEGIN; RETURN ';'; END $body$;
    INSERT INTO t VALUES ('a;b', "c;d", 'it''s;'); /* one; two */ SELECT 1 - 2 / 3
    ;
    -- the end;
    """
    found = statements(text)
    assert len(found) == 3
    assert found[0].endswith("$body$")
    assert found[1] == "INSERT INTO t VALUES ('a;b', \"c;d\", 'it''s;')"
    assert found[2].endswith("SELECT 1 - 2 / 3")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (FIRST[:1], "needs an up file and a down file"),
        ((*FIRST, *pair(1, "other", "", "")), "two migrations have the number 001"),
    ],
)
def test_files_that_do_not_fit_are_refused(files: tuple[MigrationFile, ...], message: str) -> None:
    with pytest.raises(errors.ValidationError, match=message):
        parse(files)


def test_an_applied_migration_without_its_file_is_refused() -> None:
    with pytest.raises(errors.ConflictError, match="001_gone was applied, but its file is missing"):
        check(own(SECOND), [Applied(1, "gone", "", 1, 0)])


def test_loading_the_sql_needs_no_driver() -> None:
    code = "import sys, tierstore.sql as s; s.load_queries('postgres'); sys.exit('psycopg' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
