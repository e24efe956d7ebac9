"""At 20,000 rows state is read, paged, swept and watched by its indexes: what EXPLAIN says of the named queries themselves."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import psycopg
import pytest

import tierstore
from tierstore import Config, PostgresConfig, StateConfig
from tierstore.plan.state import bounds
from tierstore.sql import load_queries, qualified

ROWS = 20_000
LOW, HIGH = bounds("k:123")
UNDER = {"low": LOW, "high": HIGH, "after": "", "limit": 10, "now": 10}
CASES: dict[str, dict[str, Any]] = {
    "get": {"key": "k:1", "now": 10},
    "get_many": {"keys": ["k:1", "k:2"], "now": 10},
    "page": UNDER,
    "delete_page": UNDER,
    "sweep": {"limit": 100, "now": 10},
    "delete": {"key": "k:1", "expected": None, "now": 10},
    "trim": {"limit": 100, "keep_ms": 1, "now": 10},
    "changes": {"since": "", "upto": "", "after": 0, "low": LOW, "high": HIGH, "limit": 100},
}


@pytest.fixture(scope="module")
def lite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plans")
    with tierstore.blocking.open(Config(folder, state=StateConfig("sql"))):
        pass
    with sqlite3.connect(folder / "tierstore.db") as connection:
        numbers = [(f"k:{number}", b"1", "e", 10**15 + number) for number in range(ROWS)]
        connection.executemany("INSERT INTO state VALUES (?, ?, ?, ?)", numbers)
        told = [(f"k:{number}", 10**15) for number in range(ROWS)]
        connection.executemany("INSERT INTO state_changes (key, kind, changed_at) VALUES (?, 'set', ?)", told)
        connection.execute("ANALYZE")
    return folder / "tierstore.db"


@pytest.mark.parametrize("name", CASES)
def test_sqlite_scans_no_table(lite: Path, name: str):
    params = {key: "[]" if isinstance(value, list) else value for key, value in CASES[name].items()}
    with sqlite3.connect(lite) as connection:
        plan = connection.execute(
            f"EXPLAIN QUERY PLAN {load_queries('sqlite')[f'state.{name}'].text}", params
        ).fetchall()
    steps = [row[3] for row in plan]
    assert not [step for step in steps if step.startswith("SCAN state")], steps
    assert name == "changes" or not [step for step in steps if "TEMP B-TREE" in step], steps


@pytest.fixture(scope="module")
def served(postgres: Any) -> str:
    url = postgres.create_database()
    with tierstore.blocking.open(Config(postgres=PostgresConfig(url), state=StateConfig("sql"))):
        pass
    with psycopg.connect(url, autocommit=True) as connection:
        fill = "INSERT INTO state SELECT 'k:' || n, '1', 'e', now() + n * interval '1 second' FROM generate_series(1, %s) AS n"
        connection.execute(fill, [ROWS])
        connection.execute(
            "INSERT INTO state_changes (key, kind) SELECT 'k:' || n, 'set' FROM generate_series(1, %s) AS n", [ROWS]
        )
        connection.execute("ANALYZE")
    return url


@pytest.mark.parametrize("name", CASES)
def test_postgres_scans_no_table(served: str, name: str):
    text = qualified(load_queries("postgres")[f"state.{name}"].text, schema="public", trgm="public")
    with psycopg.connect(served, autocommit=True) as connection:
        moment = connection.execute("SELECT pg_current_snapshot()::text").fetchone()
        assert moment is not None
        params = CASES[name] | ({"since": moment[0]} if name == "changes" else {})
        plan = [row[0] for row in connection.execute(f"EXPLAIN {text}".encode(), params).fetchall()]
    assert not [line for line in plan if "Seq Scan on state" in line], plan
