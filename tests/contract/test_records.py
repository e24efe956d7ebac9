"""What every engine of `Records` promises, in both faces."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator

import pytest

from tests.clock import BUSY_S
from tests.contract.engines import Engine, PostgresEngine
from tests.said import behind, said
from tierstore import errors
from tierstore.backends import Records
from tierstore.runtime import Deadline, drive


def soon(engine: Engine, seconds: float = 10.0) -> Deadline:
    return engine.runtime.deadline(seconds)


async def add(records: Records, subject: str, deadline: Deadline) -> None:
    async with records.unit(deadline=deadline) as unit:
        await unit.execute("suite.add_subject", {"subject": subject, "version": 1})


async def subjects(records: Records, deadline: Deadline) -> list[str]:
    return [row[0] for row in await records.fetch("suite.subjects", deadline=deadline, primary=True)]


def status_of(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_unit_commits_at_its_end_and_rolls_back_when_it_raises(engine: Engine) -> None:
    records = engine.migrated()

    async def run() -> list[str]:
        await add(records, "kept", soon(engine))
        with pytest.raises(RuntimeError, match="mine"):
            async with records.unit(deadline=soon(engine)) as unit:
                assert await unit.execute("suite.add_subject", {"subject": "dropped", "version": 1}) == 1
                assert await unit.fetch("suite.subjects") == [("dropped",), ("kept",)]
                raise RuntimeError("mine")
        with pytest.raises(errors.ClosedError):
            await unit.fetch("suite.subjects")
        return await subjects(records, soon(engine))

    assert engine.face.run(run) == ["kept"]


@pytest.mark.parametrize(
    "how", [None, RuntimeError("mine"), SystemExit(0)], ids=["at its end", "by an error", "by exit"]
)
def test_a_forked_child_that_leaves_the_block_ends_nothing(engine: Engine, how: BaseException | None) -> None:
    """Neither a COMMIT nor a ROLLBACK of it, nor a goodbye, reaches the parent's connection."""
    records = engine.migrated()

    async def run() -> None:
        child = None
        try:
            async with records.unit(deadline=soon(engine)) as unit:
                await unit.execute("suite.add_subject", {"subject": "before", "version": 1})
                child = os.fork()
                if child == 0 and how is not None:
                    raise how
                if child:
                    assert status_of(child) == 0
                    await unit.execute("suite.add_subject", {"subject": "after", "version": 1})
        finally:
            if child == 0:
                del unit
                gc.collect()
                left_by = sys.exc_info()[1]
                os._exit(left_by is not how if how else not isinstance(left_by, errors.ClosedError))

    engine.face.run(run)
    assert engine.face.run(subjects, records, soon(engine)) == ["after", "before"]


def test_a_savepoint_undoes_its_own_block_only(engine: Engine) -> None:
    records = engine.migrated()

    async def run() -> list[str]:
        async with records.unit(deadline=soon(engine)) as unit:
            await unit.execute("suite.add_subject", {"subject": "a", "version": 1})
            with pytest.raises(errors.ConflictError):
                async with unit.savepoint():
                    await unit.execute("suite.add_subject", {"subject": "b", "version": 1})
                    await unit.execute("suite.add_subject", {"subject": "a", "version": 1})
            async with unit.savepoint():
                await unit.execute("suite.add_subject", {"subject": "c", "version": 1})
        return await subjects(records, soon(engine))

    assert engine.face.run(run) == ["a", "c"]


def test_values_come_back_as_the_protocol_says(engine: Engine) -> None:
    records = engine.migrated()
    upload, chunks = str(uuid.uuid4()), [{"digest": "d", "seq": n, "bytes": bytes([n, 0, 255])} for n in range(3)]

    async def run() -> None:
        async with records.unit(deadline=soon(engine)) as unit:
            await unit.execute("suite.put_blob", {"digest": "d", "size": 2**40})
            await unit.execute_many("suite.put_chunk", chunks)
            number = (await unit.fetch("outbox.append", {"keys": ["k1", 'k"2'], "versions": [1, 2**62]}))[0][1]
            assert isinstance(number, int)
        async with records.aside(deadline=soon(engine)) as unit:
            await unit.execute("suite.start_upload", {"id": upload, "digest": "d", "size": 7})
            assert await unit.fetch("suite.uploads") == [(upload, "d", 7)]
        rows = await records.fetch("suite.chunks", {"digest": "d"}, deadline=soon(engine))
        assert rows == [(n, bytes([n, 0, 255])) for n in range(3)]

    engine.face.run(run)


def test_aside_is_a_transaction_apart(engine: Engine) -> None:
    records = engine.migrated(max_connections=4)

    async def run() -> list[str]:
        with pytest.raises(RuntimeError):
            async with records.unit(deadline=soon(engine)) as unit:
                await unit.execute("suite.add_subject", {"subject": "dropped", "version": 1})
                async with records.aside(deadline=soon(engine, 1)) as apart:
                    await apart.execute("suite.start_upload", {"id": str(uuid.uuid4()), "digest": "d", "size": 7})
                raise RuntimeError
        async with records.aside(deadline=soon(engine)) as apart:
            assert len(await apart.fetch("suite.uploads")) == 1
        return await subjects(records, soon(engine))

    assert engine.face.run(run) == []


def test_a_fenced_read_is_below_the_fence_of_a_later_write(engine: Engine) -> None:
    records = engine.migrated()

    async def run() -> None:
        await add(records, "a", soon(engine))
        params = {"subjects": ["a", "b"]}
        before = await records.fetch_fenced("suite.fenced", params, deadline=soon(engine))
        async with records.unit(deadline=soon(engine)) as unit:
            await unit.execute("suite.touch_subject", {"subject": "a"})
            floor = await unit.fence()
            during = await records.fetch_fenced("suite.fenced", params, deadline=soon(engine))
        after = await records.fetch_fenced("suite.fenced", params, deadline=soon(engine))
        assert before.rows == during.rows == [("a", 1)]
        assert after.rows == [("a", 2)]
        assert before.as_of <= floor
        assert during.as_of <= floor < after.as_of <= after.ceiling
        nothing = await records.fetch_fenced("suite.fenced", {"subjects": []}, deadline=soon(engine))
        assert nothing.rows == []
        assert nothing.as_of == after.as_of

    engine.face.run(run)


def test_refusals_are_typed_and_say_what_was_asked(engine: Engine) -> None:
    records = engine.migrated()

    async def run() -> None:
        await add(records, "a", soon(engine))
        with pytest.raises(errors.ConflictError, match=r"suite\.add_subject") as taken:
            await add(records, "a", soon(engine))
        assert taken.value.tier == "database"
        assert not taken.value.transient
        with pytest.raises(errors.QueryError, match=r"suite\.wrong"):
            await records.fetch("suite.wrong", deadline=soon(engine))
        assert await subjects(records, soon(engine)) == ["a"]

    engine.face.run(run)


@pytest.mark.requirement("S1-15")
def test_a_slow_read_ends_at_the_deadline_and_harms_no_other(engine: Engine) -> None:
    records = engine.migrated()

    async def run() -> None:
        started = time.monotonic()
        with pytest.raises(errors.TimeoutError):
            await records.fetch("suite.slow", deadline=soon(engine, 0.3))
        assert 0.25 < time.monotonic() - started < 0.5 + BUSY_S
        assert await subjects(records, soon(engine, 1)) == []

    engine.face.run(run)


def test_a_slow_write_ends_at_the_deadline_and_frees_its_place(engine: Engine) -> None:
    records = engine.migrated()

    async def run() -> None:
        started = time.monotonic()
        with pytest.raises(errors.TimeoutError):
            async with records.unit(deadline=soon(engine, 0.3)) as unit:
                await unit.execute("suite.add_subject", {"subject": "dropped", "version": 1})
                await unit.fetch("suite.slow")
        assert 0.25 < time.monotonic() - started < 0.6 + BUSY_S
        await add(records, "next", soon(engine, 2))
        assert await subjects(records, soon(engine)) == ["next"]

    engine.face.run(run)


@pytest.mark.requirement("S0-01", "S0-04", "S0-39")
@pytest.mark.parametrize("face", ["async"], indirect=True)
def test_a_cancelled_caller_leaves_nothing_behind(engine: Engine) -> None:
    records = engine.migrated(max_connections=4)

    async def write() -> None:
        async with records.unit(deadline=soon(engine, 30)) as unit:
            await unit.execute("suite.add_subject", {"subject": "dropped", "version": 1})
            await unit.fetch("suite.slow")

    async def run() -> None:
        for work in (records.fetch("suite.slow", deadline=soon(engine, 30)), write()):
            task = asyncio.create_task(work)
            await asyncio.sleep(0.2)
            task.cancel()
            started = time.monotonic()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert time.monotonic() - started < 0.1 + BUSY_S
        await add(records, "next", soon(engine, 2))
        assert await subjects(records, soon(engine)) == ["next"]
        until = time.monotonic() + 2
        while records.pool().in_use and time.monotonic() < until:
            await asyncio.sleep(0.01)
        assert records.pool().in_use == 0
        if engine.name == "postgres":
            assert await records.fetch("suite.running", deadline=soon(engine)) == [(0,)]

    engine.face.run(run)


@pytest.mark.requirement("S1-14", "S1-44", "S0-08", "S0-47")
def test_a_caller_without_a_free_connection_gets_its_error_in_time(engine: Engine) -> None:
    """The pool's places on PostgreSQL, the one writer on SQLite."""
    records = engine.migrated(max_connections=1, acquire_timeout=0.3)

    async def run() -> None:
        async with records.unit(deadline=soon(engine)) as unit:
            started = time.monotonic()
            with pytest.raises(errors.TimeoutError) as late:
                await add(records, "b", soon(engine, 0.5))
            assert time.monotonic() - started < 0.7 + BUSY_S
            if engine.name == "postgres":
                assert isinstance(late.value, errors.PoolTimeoutError)
            await unit.execute("suite.add_subject", {"subject": "a", "version": 1})
        await add(records, "c", soon(engine))
        assert await subjects(records, soon(engine)) == ["a", "c"]

    engine.face.run(run)


@pytest.mark.requirement("S1-11")
def test_writers_at_once_lose_nothing(engine: Engine) -> None:
    records = engine.migrated(max_connections=4)
    names = [f"s{n:02}" for n in range(24)]

    async def run() -> list[str]:
        await asyncio.gather(*(add(records, name, soon(engine)) for name in names))
        return await subjects(records, soon(engine))

    if engine.face.name == "async":
        assert engine.face.run(run) == names
        return
    threads = [threading.Thread(target=lambda n=name: drive(add(records, n, soon(engine)))) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert engine.face.run(subjects, records, soon(engine)) == names


def test_reads_and_writes_go_on_while_a_unit_is_open(engine: Engine) -> None:
    records = engine.migrated()

    async def run() -> None:
        async with records.unit(deadline=soon(engine)) as unit:
            await unit.execute("suite.add_subject", {"subject": "a", "version": 1})
            assert await subjects(records, soon(engine, 1)) == []

    engine.face.run(run)


def test_position_and_identity(engine: Engine) -> None:
    records = engine.migrated()

    async def run() -> None:
        first = await records.position(soon(engine))
        identity = await records.identity(soon(engine))
        await add(records, "a", soon(engine))
        assert await records.position(soon(engine)) != first
        assert await records.identity(soon(engine)) == identity
        async with records.unit(deadline=soon(engine)) as unit:  # whoever writes learns whose names to use
            written = (await unit.fetch("outbox.append", {"keys": ["k"], "versions": [1]}))[0][0]
        assert written == (identity if records.dialect == "postgres" else None)
        assert await subjects(records, soon(engine)) == ["a"]
        assert engine.name in (await records.ping(soon(engine))).lower()

    engine.face.run(run)


@pytest.mark.requirement("S0-04")
def test_after_close_every_call_says_so(engine: Engine) -> None:
    records = engine.migrated()

    async def run() -> None:
        await records.close(soon(engine))
        await records.close(soon(engine))
        with pytest.raises(errors.ClosedError):
            await subjects(records, soon(engine))
        with pytest.raises(errors.ClosedError):
            await add(records, "a", soon(engine))

    engine.face.run(run)


def test_one_process_at_a_time_holds_the_exclusive_lock(engine: Engine) -> None:
    first, second = engine.migrated(), engine.records()

    async def run() -> None:
        async with first.exclusive(deadline=soon(engine)):
            with pytest.raises(errors.TimeoutError):
                async with second.exclusive(deadline=soon(engine, 0.2)):
                    pytest.fail("both hold it")
        async with second.exclusive(deadline=soon(engine, 1)):
            pass

    engine.face.run(run)


def test_a_script_stands_or_falls_whole(engine: Engine) -> None:
    records = engine.migrated()
    good = "INSERT INTO subjects VALUES ('x', 1); -- a remark; with a semicolon\nINSERT INTO subjects VALUES ('y;', 1);"
    bad = "INSERT INTO subjects VALUES ('z', 1); INSERT INTO subjects VALUES ('x', 1);"

    async def run() -> list[str]:
        await records.script(good, transaction=True, deadline=soon(engine))
        with pytest.raises(errors.ConflictError):
            await records.script(bad, transaction=True, deadline=soon(engine))
        await records.script(
            good.replace("'x'", "'x2'").replace("'y;'", "'y2;'"), transaction=False, deadline=soon(engine)
        )
        return await subjects(records, soon(engine))

    assert engine.face.run(run) == ["x", "x2", "y2;", "y;"]


@pytest.mark.parametrize("face", ["async"], indirect=True)
@pytest.mark.parametrize("seed", range(3))
def test_cancelling_at_any_moment_loses_no_place_and_no_acknowledged_write(engine: Engine, seed: int) -> None:
    """I14. What was acknowledged is there; what was cancelled is there or not, whole."""
    records = engine.migrated(max_connections=4)
    chance = random.Random(seed)
    acknowledged: list[str] = []

    async def write(name: str) -> None:
        async with records.unit(deadline=soon(engine, 20)) as unit:
            for half in ("a", "b"):
                await unit.execute("suite.add_subject", {"subject": f"{name}{half}", "version": 1})
        acknowledged.append(name)

    async def cancelled(name: str) -> None:
        task = asyncio.create_task(write(name))
        await asyncio.sleep(chance.random() * 0.02)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def run() -> list[str]:
        for turn in range(15):
            await asyncio.gather(*(cancelled(f"{turn:02}-{number:02}") for number in range(20)))
        await add(records, "last", soon(engine, 2))
        until = time.monotonic() + 3
        while records.pool().in_use and time.monotonic() < until:
            await asyncio.sleep(0.01)
        assert records.pool().in_use == records.pool().waiting == 0
        return await subjects(records, soon(engine))

    found = engine.face.run(run)
    stored = {name[:-1] for name in found if name != "last"}
    assert {f"{name}{half}" for name in stored for half in "ab"} | {"last"} == set(found)
    assert set(acknowledged) <= stored


@pytest.mark.requirement("S0-04")
def test_a_process_may_end_without_closing(engine: Engine) -> None:
    """Nothing waits for threads, tasks or connections that were left."""
    engine.migrated()
    target = repr(engine.url) if isinstance(engine, PostgresEngine) else repr(str(getattr(engine, "path", "")))
    kind = "PostgresRecords" if engine.name == "postgres" else "SqliteRecords"
    code = f"""
import asyncio
from tierstore.backends.{engine.name}.records import {kind}
from tierstore.runtime import AsyncioRuntime, ThreadsRuntime, drive

async def run(runtime):
    records = {kind}(runtime, {target})
    async with records.unit(deadline=runtime.deadline(30)) as unit:
        await unit.fetch("outbox.append", {{"keys": ["k"], "versions": [1]}})
    await records.ping(runtime.deadline(30))
    print("done", flush=True)

async def main():
    await run(AsyncioRuntime())

asyncio.run(main()) if {engine.face.name == "async"} else drive(run(ThreadsRuntime()))
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == b"done\n", child.communicate(timeout=60)
            started = time.monotonic()
            assert child.communicate(timeout=60) == (b"", b"")
            assert time.monotonic() - started < 8 + BUSY_S
            assert child.returncode == 0
        finally:
            child.kill()


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """KeyboardInterrupt on SIGINT, also where the tests run in the background and inherit a SIGINT that is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("face", ["blocking"], indirect=True)
def test_an_interrupted_caller_is_interrupted_and_leaves_nothing_behind(engine: Engine) -> None:
    records = engine.migrated(max_connections=4)

    async def read() -> None:
        await records.fetch("suite.slow", deadline=soon(engine, 20))

    async def write() -> None:
        async with records.unit(deadline=soon(engine, 20)) as unit:
            await unit.execute("suite.add_subject", {"subject": "dropped", "version": 1})
            await unit.fetch("suite.slow")

    for work in (read, write):
        timer = threading.Timer(0.2, signal.raise_signal, [signal.SIGINT])
        timer.start()
        started = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            engine.face.run(work)
        timer.join()
        assert time.monotonic() - started < 1 + BUSY_S
    engine.face.run(add, records, "next", soon(engine, 2))
    assert engine.face.run(subjects, records, soon(engine)) == ["next"]


def test_an_error_of_the_database_holds_no_value(engine: Engine) -> None:
    """What the driver raised names the key, the row and the statement's values; it is left behind."""
    records, secret = engine.migrated(), f"s3cr3t {uuid.uuid4()}"

    async def run() -> None:
        await add(records, secret, soon(engine))
        with pytest.raises(errors.ConflictError) as taken:
            await add(records, secret, soon(engine))
        assert secret not in said(taken.value)
        assert list(behind(taken.value)) == [taken.value]
        if engine.name != "sqlite":
            with pytest.raises(errors.QueryError) as wrong:
                await records.fetch("suite.metadata", {"id": secret}, deadline=soon(engine))
            assert secret not in said(wrong.value)

    engine.face.run(run)
