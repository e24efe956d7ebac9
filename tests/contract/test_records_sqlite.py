"""SQLite alone: other processes on the same file, the event loop, kill -9, fork."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.clock import BUSY_S
from tests.contract.engines import ONLY, SqliteEngine
from tests.contract.test_records import add, subjects
from tierstore import errors
from tierstore.backends.sqlite.connection import Connection
from tierstore.runtime import Deadline, drive

WRITER = """
import sys
from tests.contract.engines import queries_of
from tierstore.backends.sqlite.records import SqliteRecords
from tierstore.runtime import ThreadsRuntime, drive
runtime = ThreadsRuntime()

async def run():
    records = SqliteRecords(runtime, sys.argv[1], queries=queries_of("sqlite"))
    for number in range(int(sys.argv[3])):
        name = f"{sys.argv[2]}{number:06}"
        async with records.unit(deadline=runtime.deadline(30)) as unit:
            await unit.execute("suite.add_subject", {"subject": name, "version": 1})
        print(name, flush=True)

drive(run())
"""


def soon(engine: SqliteEngine, seconds: float = 10.0) -> Deadline:
    return engine.runtime.deadline(seconds)


def start_writer(engine: SqliteEngine, root: Path, name: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(engine.path), name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root)


def test_kill_9_while_writing_loses_nothing_acknowledged(lite: SqliteEngine, root: Path) -> None:
    records = lite.migrated()
    writer = start_writer(lite, root, "w", 100_000)
    assert writer.stdout is not None
    acknowledged = [writer.stdout.readline().strip() for _ in range(50)]
    os.kill(writer.pid, signal.SIGKILL)
    acknowledged += [line.strip() for line in writer.stdout if line.endswith("\n")]
    writer.wait()
    writer.stdout.close()
    assert len(acknowledged) >= 50
    assert set(acknowledged) <= set(lite.face.run(subjects, records, soon(lite)))


def test_a_new_file_is_opened_by_many_at_once(tmp_path: Path) -> None:
    """As the workers of a server do at their start. The first to come changes the file's journal mode."""
    failed: list[BaseException] = []

    def open_it(path: Path, together: threading.Barrier) -> None:
        together.wait()
        try:
            connection = Connection(path, busy_s=10 * BUSY_S)
            connection.prepare(writes=True, script="CREATE TABLE IF NOT EXISTS names (name TEXT)")
            connection.close()
        except sqlite3.Error as error:
            failed.append(error)

    for number in range(25):
        together = threading.Barrier(6)
        arguments = (tmp_path / f"{number}.db", together)
        threads = [threading.Thread(target=open_it, args=arguments) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not failed


def test_processes_write_to_one_file_in_turn(lite: SqliteEngine, root: Path) -> None:
    records = lite.migrated()
    writers = [start_writer(lite, root, name, 60) for name in ("a", "b")]

    async def run() -> None:
        for number in range(60):
            await add(records, f"own{number:06}", soon(lite, 30))

    lite.face.run(run)
    for writer in writers:
        out, _ = writer.communicate(timeout=60)
        assert writer.returncode == 0
        assert len(out.split()) == 60
    assert len(lite.face.run(subjects, records, soon(lite))) == 180


def test_a_lock_of_another_process_is_waited_for_until_the_deadline(lite: SqliteEngine) -> None:
    records = lite.migrated()
    other = sqlite3.connect(lite.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    async def run() -> None:
        started = time.monotonic()
        with pytest.raises(errors.TimeoutError):
            await add(records, "a", soon(lite, 0.3))
        assert time.monotonic() - started < 0.5 + BUSY_S
        assert await subjects(records, soon(lite)) == []

    lite.face.run(run)
    other.execute("ROLLBACK")
    other.close()
    lite.face.run(add, records, "b", soon(lite))
    assert lite.face.run(subjects, records, soon(lite)) == ["b"]


@pytest.mark.parametrize("face", ["async"], indirect=True)
def test_the_loop_goes_on_while_a_write_or_a_large_read_waits(lite: SqliteEngine) -> None:
    records = lite.migrated()
    other = sqlite3.connect(lite.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    longest = 0.0

    async def tick() -> None:
        nonlocal longest
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.005)
            longest = max(longest, time.monotonic() - before)

    async def late(work) -> None:
        with pytest.raises(errors.TimeoutError):
            await work

    async def run() -> None:
        ticking = asyncio.create_task(tick())
        slow = records.fetch("suite.slow", deadline=soon(lite, 2))
        await asyncio.gather(late(add(records, "a", soon(lite, 2))), late(slow))
        ticking.cancel()

    lite.face.run(run)
    other.close()
    assert longest < 1


def test_polling_leaves_the_deadline_of_a_write_alone(lite: SqliteEngine) -> None:
    """The carrier asks on the writer's connection, from another thread in the blocking face."""
    records: Any = lite.migrated()
    polls: list[int] = []

    async def poll() -> None:
        polls.append(await records.data_version(soon(lite, 5)))

    async def write() -> None:
        with pytest.raises(errors.TimeoutError):
            async with records.unit(deadline=soon(lite, 0.6)) as unit:
                await unit.fetch("suite.slow")

    async def together() -> None:
        await asyncio.gather(write(), poll())

    started = time.monotonic()
    if lite.face.name == "async":
        lite.face.run(together)
    else:
        timer = threading.Timer(0.2, lambda: drive(poll()))
        timer.start()
        lite.face.run(write)
        timer.join()
    assert len(polls) == 1
    assert 0.5 < time.monotonic() - started < 1.2 + BUSY_S


def test_the_file_is_written_for_keeps(lite: SqliteEngine) -> None:
    records = lite.migrated()
    raw = records._writer.connection.raw  # type: ignore[attr-defined]
    assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert raw.execute("PRAGMA synchronous").fetchone() == (2,)
    assert raw.execute("PRAGMA foreign_keys").fetchone() == (1,)


def test_all_rows_of_a_transaction_share_a_version_that_rises(lite: SqliteEngine) -> None:
    records = lite.migrated()

    async def fence() -> int:
        async with records.unit(deadline=soon(lite)) as unit:
            return await unit.fence()

    first, second = lite.face.run(fence), lite.face.run(fence)
    assert second == first + 1
    fenced = lite.face.run(fenced_nothing, records, soon(lite))
    assert fenced == (second + 1, second + 1)


async def fenced_nothing(records, deadline: Deadline) -> tuple[int, int]:
    found = await records.fetch_fenced("suite.fenced", {"subjects": []}, deadline=deadline)
    return found.as_of, found.ceiling


def test_staging_is_made_again_when_it_is_missing(lite: SqliteEngine) -> None:
    lite.migrated()
    lite.close_records()
    for path in lite.path.parent.glob("staging.db*"):
        path.unlink()
    records = lite.records()

    async def run() -> None:
        async with records.aside(deadline=soon(lite)) as unit:
            assert await unit.fetch("suite.uploads") == []

    lite.face.run(run)


def test_a_file_that_is_no_database_is_refused(lite: SqliteEngine) -> None:
    lite.path.parent.mkdir(parents=True)
    lite.path.write_bytes(b"nothing of the kind" * 500)
    with pytest.raises(errors.ConnectionError, match=r"tierstore\.db"):
        lite.records()


FULL = """
import resource, sys
from pathlib import Path
import tierstore

folder, content = Path(sys.argv[1]), b'"' + b"x" * 60_000 + b'"'
with tierstore.blocking.open(folder) as store:
    schemas = store.schemas
    schemas.register("before", "1.0.0", b"{}")
    limit = max(path.stat().st_size for path in folder.glob("*.db*"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))  # from here on no file grows
    for _ in range(2):
        try:
            schemas.register("large", "1.0.0", content, idempotency_key="key")
        except tierstore.OutcomeUnknownError as error:
            assert error.idempotency_key == "key"
        else:
            sys.exit("it was stored on a disk that takes nothing")
    assert schemas.get_latest("before", read="latest").version == "1.0.0"
    assert schemas.get_latest("large", read="latest") is None
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    again = schemas.register("large", "1.0.0", content, idempotency_key="key")
    assert schemas.get(again.id, read="latest").content == content
"""


def test_a_disk_that_takes_nothing_is_said_at_the_commit_and_tears_nothing(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    with sqlite3.connect(tmp_path / "tierstore.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_a_statement_that_failed_does_not_look_ended_to_a_process_that_polls(tmp_path: Path) -> None:
    """sqlite3 of Python 3.12 and later asks for an error after the poll of another thread may have cleared it."""
    connection = Connection(tmp_path / "x.db", busy_s=1)
    done = threading.Event()

    def poll() -> None:
        while not done.is_set():
            connection.data_version()

    poller = threading.Thread(target=poll)
    poller.start()
    try:
        for _ in range(40):
            with pytest.raises(sqlite3.OperationalError, match="interrupted"):
                connection.fetch(ONLY["sqlite"]["suite.slow"], {}, time.monotonic() + 0.01)
    finally:
        done.set()
        poller.join()
        connection.close()


def test_a_damaged_page_is_said_to_be_damaged(lite: SqliteEngine) -> None:
    records = lite.migrated()

    async def fill() -> None:
        async with records.unit(deadline=soon(lite)) as unit:
            rows = [{"subject": f"{n:0200}", "version": 1} for n in range(2000)]
            await unit.execute_many("suite.add_subject", rows)

    lite.face.run(fill)
    lite.close_records()
    size = lite.path.stat().st_size
    with lite.path.open("r+b") as file:
        file.seek(size // 2)
        file.write(b"\xff" * (size // 4))
    damaged = lite.records()
    with pytest.raises(errors.CorruptError):
        lite.face.run(subjects, damaged, soon(lite))


def test_a_folder_that_cannot_be_made_is_named(face, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    engine = SqliteEngine(face, blocked)
    with pytest.raises(errors.ConnectionError, match="cannot open"):
        engine.records()


def test_values_that_do_not_fit_are_refused(lite: SqliteEngine) -> None:
    records = lite.migrated()

    async def run() -> None:
        for version in (2**63, object()):
            with pytest.raises(errors.QueryError):
                async with records.unit(deadline=soon(lite)) as unit:
                    await unit.execute("suite.add_subject", {"subject": "a", "version": version})
        with pytest.raises(errors.QueryError):
            await records.fetch("suite.find", {"subject": "\ud800"}, deadline=soon(lite))

    lite.face.run(run)


@pytest.mark.parametrize("face", ["blocking"], indirect=True)
def test_a_forked_child_opens_the_file_anew(lite: SqliteEngine) -> None:
    records = lite.migrated()
    lite.face.run(add, records, "parent", soon(lite))

    async def run() -> int:
        async with records.unit(deadline=soon(lite)) as unit:
            await unit.execute("suite.add_subject", {"subject": "open", "version": 1})
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    await unit.fetch("suite.subjects")
                except errors.ClosedError:
                    assert await subjects(records, soon(lite)) == ["parent"]
                    await records.close(soon(lite))
                    code = 0
                finally:
                    os._exit(code)
            return child_status(child)

    assert lite.face.run(run) == 0
    assert lite.face.run(subjects, records, soon(lite)) == ["open", "parent"]


def child_status(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
