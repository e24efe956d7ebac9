"""`subject_versions` and `popular_schemas` keep their names, and no write waits for a refresh of them."""

from __future__ import annotations

import sqlite3

import psycopg
import pytest

from tests.contract.schema_stores import FACES, backend_config, opened


async def register(schemas, number):
    return await schemas.register(f"viewed.{number}", "1.0.0", b"{}")


@pytest.mark.requirement("S1-77", "S1-41")
@pytest.mark.parametrize("face_name", FACES)
def test_postgres_writes_refresh_no_view(request, face_name, tmp_path):
    config = backend_config(request, "postgres", tmp_path)
    with opened("postgres", face_name, config) as store, psycopg.connect(config.postgres.url) as watcher:
        kinds = watcher.execute(
            "SELECT relname, relkind::text FROM pg_class WHERE relname IN ('subject_versions', 'popular_schemas') ORDER BY 1"
        ).fetchall()
        assert kinds == [("popular_schemas", "m"), ("subject_versions", "v")]
        sources = watcher.execute(
            "SELECT p.prosrc FROM pg_trigger AS t JOIN pg_proc AS p ON p.oid = t.tgfoid WHERE NOT t.tgisinternal"
        ).fetchall()
        assert sources
        assert not any("REFRESH" in source.upper() for (source,) in sources)
        watcher.execute("REFRESH MATERIALIZED VIEW popular_schemas")  # holds its lock until this transaction ends
        schema = store.run(register, 1)
        row = watcher.execute("SELECT id FROM subject_versions WHERE subject = 'viewed.1'").fetchone()
        assert str(row[0]) == schema.id


@pytest.mark.requirement("S1-77", "S1-41")
@pytest.mark.parametrize("face_name", FACES)
def test_sqlite_writes_refresh_no_view(request, face_name, tmp_path):
    with opened("sqlite", face_name, backend_config(request, "sqlite", tmp_path)) as store:
        schema = store.run(register, 1)
        with sqlite3.connect(tmp_path / "tierstore.db") as watcher:
            master = dict(watcher.execute("SELECT name, type FROM sqlite_master"))
            triggers = [sql for (sql,) in watcher.execute("SELECT sql FROM sqlite_master WHERE type = 'trigger'")]
            rows = watcher.execute("SELECT id FROM subject_versions WHERE subject = 'viewed.1'").fetchall()
        watcher.close()
    assert master["subject_versions"] == "view"
    assert master["popular_schemas"] in ("table", "view")
    assert triggers
    assert not any("popular_schemas" in sql for sql in triggers)
    assert rows == [(schema.id,)]
