"""PostgreSQL's schemas: tables and extension are found wherever they are, and no schema is another one in silence."""

from __future__ import annotations

import os
from collections.abc import Iterator

import psycopg
import pytest

import tierstore
from tests.contract.engines import PostgresEngine
from tests.contract.test_records import add, subjects
from tests.contract.test_records_postgres import address, soon
from tierstore import Config, PostgresConfig, errors


def run(url: str, *statements: str) -> list[tuple]:
    with psycopg.connect(url, autocommit=True) as admin:
        found = [admin.execute(statement.encode()) for statement in statements]
        return found[-1].fetchall() if found[-1].description else []


def tables(url: str) -> list[tuple]:
    return run(url, "SELECT DISTINCT schemaname FROM pg_tables WHERE tablename IN ('schemas', 'tierstore_migrations')")


def config(url: str, schema: str, **options) -> Config:
    return Config(postgres=PostgresConfig(url, schema=schema, max_connections=4, min_connections=1), **options)


@pytest.fixture
def role(database: str) -> Iterator[str]:
    """The address of a role that may connect, and nothing else."""
    name = f"guest{os.getpid()}"
    base = database.rsplit("/", 1)[1]
    run(database, f"CREATE ROLE {name} LOGIN PASSWORD 'guest'", "CREATE EXTENSION pg_trgm WITH SCHEMA public")
    yield f"postgresql://{name}:guest@{address(database)}/{base}"
    run(database, f"REASSIGN OWNED BY {name} TO CURRENT_USER", f"DROP OWNED BY {name}", f"DROP ROLE {name}")


@pytest.mark.parametrize(
    ("prepared", "schema"),
    [
        (["CREATE SCHEMA extensions", "CREATE EXTENSION pg_trgm WITH SCHEMA extensions"], "public"),
        (['CREATE SCHEMA "Other"', 'CREATE EXTENSION pg_trgm WITH SCHEMA "Other"'], "app"),
        (["DROP SCHEMA public CASCADE"], "app"),
        (["CREATE SCHEMA elsewhere"], "app"),
    ],
)
def test_the_extension_is_found_wherever_it_is(database: str, prepared: list[str], schema: str) -> None:
    name = database.rsplit("/", 1)[1]
    run(database, *prepared, f"ALTER DATABASE {name} SET search_path = ''")
    for version in ("1.0.0", "2.0.0"):
        with tierstore.blocking.open(config(database, schema)) as store:
            store.schemas.register("shop.order", version, b"{}")
            found = [(hit.schema.subject, hit.schema.version) for hit in store.schemas.search("shop.ordr").items]
            assert ("shop.order", version) in found
    assert tables(database) == [(schema,)]


def test_a_similar_word_is_found_where_the_extension_has_a_schema_of_its_own(pg: PostgresEngine) -> None:
    """By the query of the database itself, whatever the index of a process finds."""
    name = pg.url.rsplit("/", 1)[1]
    run(pg.url, "CREATE SCHEMA extensions", "CREATE EXTENSION pg_trgm WITH SCHEMA extensions")
    run(pg.url, f"ALTER DATABASE {name} SET search_path = ''")
    records = pg.migrated(schema="app")

    async def story() -> None:
        assert 'OPERATOR("extensions".%%>)' in records._queries["schemas_search.similar"].text
        await add(records, "a", soon(pg))
        assert await subjects(records, soon(pg)) == ["a"]
        migrator = pg.migrator(records)
        taken_back = await migrator.down(9)
        assert await migrator.up() == taken_back[::-1]

    pg.face.run(story)


def test_an_absent_schema_is_made_by_migrations_alone(database: str) -> None:
    for mode in ("check", "never"):
        with pytest.raises(errors.ConfigError, match=r"'tenant_a' \(postgres\.schema\).*migrate up"):
            tierstore.blocking.open(config(database, "tenant_a", migrate=mode))
    assert tables(database) == []
    with tierstore.blocking.open(config(database, "tenant_a")) as store:
        store.schemas.register("a", "1.0.0", b"{}")
    with tierstore.blocking.open(config(database, "tenant_b")) as store:
        assert list(store.schemas.subjects().items) == []
    with tierstore.blocking.open(config(database, "tenant_a", migrate="check")) as store:
        assert list(store.schemas.subjects().items) == ["a"]
    assert sorted(tables(database)) == [("tenant_a",), ("tenant_b",)]


@pytest.mark.parametrize(
    ("prepared", "parts"),
    [
        ([], ("app", "migrate_url", "permission denied")),
        (["CREATE SCHEMA app"], ("app", "guest", "GRANT USAGE")),
        (["CREATE SCHEMA app", "GRANT USAGE ON SCHEMA app TO {role}"], ("app", "CREATE", "migrate_url")),
    ],
)
def test_a_role_without_rights_gets_an_error_that_names_them(
    database: str, role: str, prepared: list[str], parts
) -> None:
    name = role.split("//")[1].split(":")[0]
    run(database, f"GRANT USAGE, CREATE ON SCHEMA public TO {name}", *(text.format(role=name) for text in prepared))
    with pytest.raises(errors.ConfigError) as refused:
        tierstore.blocking.open(config(role, "app"))
    for part in parts:
        assert part in str(refused.value)
    assert tables(database) == []


def test_a_role_that_only_uses_the_tables_has_them_made_by_another(database: str, role: str) -> None:
    name = role.split("//")[1].split(":")[0]
    run(
        database,
        "CREATE SCHEMA app",
        f"GRANT USAGE ON SCHEMA app TO {name}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT ALL ON TABLES TO {name}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT ALL ON SEQUENCES TO {name}",
    )
    given = PostgresConfig(role, schema="app", migrate_url=database, max_connections=4, min_connections=1)
    with tierstore.blocking.open(Config(postgres=given)) as store:
        identifier = store.schemas.register("a", "1.0.0", b"{}").id
        assert list(store.schemas.subjects().items) == ["a"]
        assert store.schemas.get(identifier) is not None
    assert run(database, "SELECT access_count FROM app.popular_schemas") == [(1,)], (
        "only its owner may refresh the view"
    )
    run(database, f"DROP OWNED BY {name}")
