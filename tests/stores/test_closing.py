"""How stores end: what only the process knows is written, in time, and every driver is closed; in forked children too."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tierstore
from tests.contract.schema_stores import FACES, opened
from tierstore.errors import ClosedError
from tierstore.runtime import Deadline
from tierstore.store import Statistics, parts_of

CONTENT = b"[]"


@pytest.mark.parametrize("face", FACES)
def test_the_flush_at_the_close_has_the_time_of_the_close(tmp_path: Path, face: str):
    config = tierstore.Config(tmp_path / "store", deadlines=tierstore.Deadlines(close=7))
    with opened("sqlite", face, config) as store:

        async def scenario() -> list[float]:
            parts, given = parts_of(store.store).stores["schemas"], []

            async def flush(deadline: Deadline) -> None:
                given.append(deadline.remaining())

            parts.flush = flush  # type: ignore[method-assign]
            await store.store.close()
            return given

        (seconds,) = store.face.run(scenario)
        assert 0 < seconds <= 7


def test_reads_that_a_job_was_just_writing_down_are_written_at_the_close(tmp_path: Path):
    """The close cancels the job in the middle, and flushes after it."""

    async def scenario() -> int:
        async with tierstore.open(tmp_path / "store") as store:
            made = await store.schemas.register("read", "1.0.0", CONTENT)
            parts: Any = parts_of(store)
            usage, begun = parts.stores["schemas"].usage, asyncio.Event()
            housekeeping = parts.engine.housekeeping

            def hangs(**named: Any) -> Any:
                parts.engine.housekeeping = housekeeping
                begun.set()
                return _Hanging()

            parts.engine.housekeeping = hangs
            await store.schemas.get(made.id)
            parts._supervisor.wake("schemas: access counts")
            await begun.wait()
            assert not usage.drain()
        async with tierstore.open(tmp_path / "store") as store:
            (popular,) = await store.schemas.popular()
            return popular.access_count

    assert asyncio.run(scenario()) == 1


class _Hanging:
    async def __aenter__(self) -> None:
        await asyncio.Event().wait()

    async def __aexit__(self, *exc: object) -> None:
        return None


@pytest.mark.parametrize("face", FACES)
def test_drivers_are_closed_whatever_a_store_raises(tmp_path: Path, face: str):
    with opened("sqlite", face, tierstore.Config(tmp_path / "store")) as store:

        async def scenario() -> None:
            parts = parts_of(store.store)

            async def flush(deadline: Deadline) -> None:
                raise RuntimeError("a defect of the store")

            parts.stores["schemas"].flush = flush  # type: ignore[method-assign]
            with pytest.raises(RuntimeError):
                await store.store.close()
            with pytest.raises(ClosedError):
                await parts.records.fetch("protocol.server", deadline=parts.runtime.deadline(1))

        store.face.run(scenario)


@pytest.mark.parametrize("call", ["statistics", "warm"])
def test_what_asks_every_store_has_one_timeout(tmp_path: Path, call: str, monkeypatch: pytest.MonkeyPatch):
    """Each gets what those before it left; a wrong one is the store's own error."""
    given: list[float | None] = []

    async def scenario() -> None:
        async with tierstore.open(tmp_path / "store") as store:

            async def asked(*args: object, timeout: float | None) -> int:
                given.append(timeout)
                await asyncio.sleep(0.05)
                return 0

            monkeypatch.setattr("tierstore.store.roster", lambda: ["schemas", "schemas", "schemas"])
            monkeypatch.setattr(store.schemas, call, asked)
            await getattr(store, call)(timeout=0.08)
            await getattr(store, call)()
            with pytest.raises(tierstore.ValidationError) as caught:
                await getattr(store, call)(timeout=-1)
            assert (caught.value.store, caught.value.operation, caught.value.place) == ("store", call, "timeout")

    asyncio.run(scenario())
    first, second, third, *defaults = given
    assert first is not None
    assert second is not None
    assert third is not None
    assert 0.08 >= first > second > third > 0
    assert defaults == [None] * 3


def test_statistics_that_hold_nothing_yet_have_no_attributes():
    """As copying and debuggers look at one."""
    with pytest.raises(AttributeError):
        object.__new__(Statistics).stores  # noqa: B018


CHILD = """
import os, sys
import tierstore
from tierstore.errors import ClosedError

def child(work):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

def is_closed():
    try:
        store.schemas.subjects()
    except ClosedError:
        return
    raise AssertionError("it was opened again")

store = tierstore.blocking.open(sys.argv[1])
opened = tierstore.store.Store.opened

def not_again(*args):
    raise AssertionError("it was opened to be closed")

def close_unused():
    tierstore.store.Store.opened = not_again
    store.close()
    store.close()
    is_closed()

def close_used():
    assert store.schemas.subjects().items == ()
    child(close_unused)
    store.close()
    is_closed()

child(close_unused)
child(lambda: child(close_used))
child(close_used)
assert store.schemas.subjects().items == ()
store.close()
child(is_closed)
"""


def test_a_forked_child_opens_nothing_to_close_it(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path / "store")], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
