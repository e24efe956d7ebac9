"""What docs/operations.md says a process costs: tables, connections, background jobs."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import psycopg

import tierstore
from tierstore import Config, PostgresConfig, RedisConfig
from tierstore.backends.postgres.records import RESERVED_CONNECTIONS

ROOT = Path(__file__).parents[2]
COSTS = (ROOT / "docs" / "operations.md").read_text().split("## What a process costs")[1].split("\n## ")[0]
RELATIONS = """
SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = 'public' AND relkind IN ('r', 'v', 'm')
"""
POOL = re.compile(r"-(scheduler|worker-\d+)$")
"""What psycopg_pool names its own tasks."""
NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?(?=\**(?:[,;]|$))")
"""A rival's figure: what stands before a comma, a semicolon or the end."""
CONNECTIONS = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
    AND backend_type = 'client backend'
"""


def rows(heading: str) -> list[str]:
    """The names in the first column of the table with this heading."""
    table = COSTS.split(f"| {heading} |")[1].split("\n\n")[0]
    return [name for line in table.splitlines()[2:] for name in re.findall(r"`([^`]+)`", line.split("|")[1])]


def asked(database: str, query: str) -> list:
    with psycopg.connect(database) as connection:
        return [row[0] for row in connection.execute(query)]


def test_the_readme_counts_the_connections():
    readme = (ROOT / "README.md").read_text()
    assert f"up to {RESERVED_CONNECTIONS} for background jobs" in readme


def test_tables_connections_and_jobs(database, redis_server, postgres, tmp_path):
    redis_server.flush()
    replica = postgres.replica_of(database)
    config = Config(postgres=PostgresConfig(database, replicas=(replica,)), redis=RedisConfig(redis_server.url))

    def jobs() -> set[str]:
        names = [task.get_name() for task in asyncio.all_tasks() if not POOL.search(task.get_name())]
        return {name.removeprefix("tierstore ") for name in names if name.startswith("tierstore ")}

    async def scenario():
        async with tierstore.open(config) as store:
            assert sorted(asked(database, RELATIONS)) == sorted(rows("tables and views"))
            assert "10 are open at rest and 3 for background jobs; at most 50 for callers and 6 reserved" in COSTS
            assert 10 <= asked(database, CONNECTIONS)[0] < 20  # a call that comes while all are taken opens one more
            pool = (await store.statistics()).pool
            assert (pool["limit"], pool["reserved"]) == (50, 6)
            found = jobs()
        async with tierstore.open(tmp_path):
            assert found | jobs() == set(rows("job"))

    asyncio.run(scenario())


def test_the_readme_counts_the_tables():
    assert len(rows("tables and views")) == 23
    assert "21 tables, a view, a materialized view and the extension `pg_trgm`" in (ROOT / "README.md").read_text()


def test_the_readmes_figures_stand_in_committed_results():
    """Each number of the table of rivals is in what its row links to: a committed result, or a table that a bench writes."""
    table = (ROOT / "README.md").read_text().split("## How it compares")[1].split("\n## ")[0]
    lines = [line for line in table.splitlines() if line.startswith("|") and "](" in line]
    assert len(lines) >= 8
    for line in lines:
        _, ours, rivals, link = (cell.strip() for cell in line.strip("|").split("|"))
        result = (ROOT / re.search(r"\(([^)#]+)", link)[1]).read_text()
        for number in [ours, *NUMBER.findall(rivals)]:
            assert re.search(rf"(?<![\d.,]){re.escape(number)}(?![\d.])", result), f"{number} of {line}"
