"""What drivers do because a query's head says so, and that rows are read by the names of their columns, on both engines."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.contract.engines import Engine, PostgresEngine
from tests.contract.test_records import add, soon, subjects
from tierstore.backends import Records
from tierstore.sql import DIALECTS
from tierstore.sql.query import parse_query

TOUCH = "INSERT INTO subjects (subject, row_version) VALUES (%(subject)s, %(version)s)"
RAISE = "UPDATE subjects SET row_version = row_version + %(by)s WHERE subject = %(subject)s"
HEADS = {
    "suite.touch": TOUCH,
    "suite.after_touch": f"-- first: suite.touch\n{RAISE}",
    "suite.touch_many": f"-- each\n{TOUCH} RETURNING subject",
    "suite.absent": "-- nothing",
    "suite.absent_after_touch": "-- first: suite.touch\n-- nothing",
}


def with_heads(engine: Engine) -> Records:
    """Migrated, with queries that have such heads."""
    records = engine.migrated()
    for name, text in HEADS.items():
        own = text if engine.name == "postgres" else re.sub(r"%\((\w+)\)s", r":\1", text)
        records._queries[name] = parse_query(own, name, {})  # type: ignore[attr-defined]
    return records


def test_the_fence_is_cut_off_where_rows_alone_are_asked_for(engine: Engine) -> None:
    records = engine.migrated()

    async def run() -> None:
        await add(records, "a", soon(engine))
        deadline, there, gone = soon(engine), {"subjects": ["a"]}, {"subjects": ["b"]}
        assert await records.fetch("suite.fenced", there, deadline=deadline) == [("a", 1)]
        assert await records.fetch("suite.fenced", gone, deadline=deadline) == []
        async with records.unit(deadline=deadline) as unit:
            assert await unit.fetch("suite.fenced", there) == [("a", 1)]
            assert await unit.fetch("suite.fenced", gone) == []
            seen = await unit.fetch_fenced("suite.fenced", there)
            assert seen.rows == [("a", 1)]
            assert isinstance(seen.as_of, int)
            assert seen.as_of <= seen.ceiling
            with pytest.raises(ValueError, match=r"suite\.find is not fenced"):
                await unit.fetch_fenced("suite.find", {"subject": "a"})
        with pytest.raises(ValueError, match=r"suite\.find is not fenced"):
            await records.fetch_fenced("suite.find", {"subject": "a"}, deadline=deadline)

    engine.face.run(run)


def test_what_runs_first_runs_in_the_same_transaction_with_the_same_parameters(engine: Engine) -> None:
    records = with_heads(engine)
    params = {"subject": "a", "version": 1, "by": 4}

    async def run() -> None:
        with pytest.raises(RuntimeError):
            async with records.unit(deadline=soon(engine)) as unit:
                assert await unit.execute("suite.after_touch", params) == 1
                raise RuntimeError
        assert await subjects(records, soon(engine)) == []
        async with records.unit(deadline=soon(engine)) as unit:
            await unit.fetch("suite.absent_after_touch", params | {"subject": "b"})
            assert await unit.execute("suite.after_touch", params) == 1
            assert await unit.fetch("suite.find", {"subject": "a"}) == [("a", 5)]
        assert await subjects(records, soon(engine)) == ["a", "b"]

    engine.face.run(run)


def test_a_query_of_several_statements_needs_a_transaction(engine: Engine) -> None:
    records = with_heads(engine)

    async def run() -> None:
        for name in ("suite.after_touch", "suite.touch_many"):
            with pytest.raises(ValueError, match=rf"{name} .*transaction"):
                await records.fetch(name, {}, deadline=soon(engine))
            async with records.unit(deadline=soon(engine)) as unit:
                with pytest.raises(ValueError, match=rf"{name} .*transaction"):
                    await unit.execute_many(name, [{}])

    engine.face.run(run)


def test_each_runs_once_for_every_place(engine: Engine) -> None:
    records = with_heads(engine)

    async def run() -> None:
        async with records.unit(deadline=soon(engine)) as unit:
            params = {"subject": ["b", "a"], "version": [1, 2], "other": ["c"]}
            assert await unit.fetch("suite.touch_many", params) == [("b",), ("a",)]
            assert await unit.execute("suite.touch_many", {"subject": [], "version": []}) == 0
            assert await unit.fetch("suite.find", {"subject": "a"}) == [("a", 2)]

    engine.face.run(run)


def test_nothing_is_never_sent(engine: Engine) -> None:
    records = with_heads(engine)

    async def run() -> None:
        async with records.unit(deadline=soon(engine)) as unit:
            assert await unit.fetch("suite.absent", {"any": object()}) == []
            assert await unit.execute("suite.absent", {"any": object()}) == 0

    engine.face.run(run)


SCENARIO = """
import re, sys
from tierstore import sql
entries = sql._entries

class Entry:
    def __init__(self, entry, added):
        self.name, self._entry, self._added = entry.name, entry, added
    def read_text(self, encoding):
        text = self._entry.read_text(encoding)
        return text.replace("row.subject, ", "7 AS added, row.subject, ", 1) if self._added else text

def planted(dialect, folder):
    added = folder == "queries" and dialect in sys.argv[2].split(",")
    return [Entry(entry, added and entry.name == "schemas.sql") for entry in entries(dialect, folder)]

sql._entries = planted
assert all("added" in sql.load_queries(each)["schemas.get_many"].columns for each in sys.argv[2].split(","))

import tierstore
from tierstore import Config, PostgresConfig
from tierstore.blocking import open

config = Config(sys.argv[1]) if "://" not in sys.argv[1] else Config(postgres=PostgresConfig(sys.argv[1], min_connections=0))
with open(config) as store:
    schemas = store.schemas
    first = schemas.register("s", "1.0.0-a.1", b"{}", tags=["t"])
    schemas.register_many([{"subject": "s", "version": f"{n}.0.0", "content": b"[]"} for n in (2, 3)])
    state = schemas.set_state(first.id, "deprecated", reason="old")
    assert (state.subject, state.version, state.state, state.content) == ("s", "1.0.0-a.1", "deprecated", b"{}")
    assert state.row_version > first.row_version
    assert schemas.get(first.id) == schemas.get_version("s", "1.0.0-a.1") == state
    assert schemas.get_latest("s").version == "3.0.0"
    assert schemas.get_latest("none") is None
    page = schemas.list("s", limit=2)
    assert [info.version for info in page.items] == ["3.0.0", "2.0.0"]
    assert [info.version for info in schemas.list("s", limit=2, after=page.next).items] == ["1.0.0-a.1"]
    assert schemas.register("s", "1.0.0-a.1", b"{}").id == first.id
    assert schemas.delete(first.id)
    assert schemas.restore(first.id).content == b"{}"
    assert [hit.schema.id for hit in schemas.search("s", tags=["t"]).items] == [first.id]
    assert schemas.purge(first.id)
    assert schemas.get(first.id) is None
print("right")
"""


def run_with_a_column_more(engine: Engine, dialects: str) -> subprocess.CompletedProcess[str]:
    target = engine.url if isinstance(engine, PostgresEngine) else str(engine.path.parent)  # type: ignore[attr-defined]
    command = [sys.executable, "-c", SCENARIO, target, dialects]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_column_more_shifts_nothing(engine: Engine) -> None:
    """A column is put into the middle of the list `schema_info` on both dialects: every record is still right."""
    done = run_with_a_column_more(engine, ",".join(DIALECTS))
    assert done.stdout == "right\n", done.stderr


def test_a_column_more_on_one_dialect_is_refused_at_load(engine: Engine) -> None:
    done = run_with_a_column_more(engine, engine.name)
    assert "ValueError" in done.stderr
    assert re.search(r"\(postgres\): the column subject stands at \d; expected \d", done.stderr)
