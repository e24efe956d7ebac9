"""State in a database that is full, takes no writes, is locked or silent: every call ends by its deadline with an error of ours."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

import tierstore
from tests.contract.schema_stores import opened
from tests.stores.samples import PREPARE
from tierstore import Config, OutcomeUnknownError, PostgresConfig, StateConfig, StorageError
from tierstore.store import Store, parts_of

SHORT_S, PATIENT_S = 0.4, 20.0
WRITES_NOTHING = (
    "get",
    "get_entry",
    "get_many",
    "exists",
    "ttl",
    "keys",
    "statistics",
    "ping",
    "warm",
    "export",
    "rekey",
)
IN_TIME = (tierstore.TimeoutError, tierstore.ConnectionError, OutcomeUnknownError)


def embedded(folder: Path) -> Config:
    return Config(folder, state=StateConfig("sql"))


def served(url: str) -> Config:
    return Config(postgres=PostgresConfig(url, min_connections=1, max_connections=6), state=StateConfig("sql"))


async def outcome(store: Any, call: str, sample: Any, timeout: float = SHORT_S) -> BaseException | None:
    """The error of a call. One that does not end long after its deadline fails the test."""
    made = getattr(store.state, call)(*sample.args, **{**sample.named, "timeout": timeout})
    try:
        await (asyncio.wait_for(made, PATIENT_S) if asyncio._get_running_loop() else made)
    except StorageError as error:
        return error
    return None


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another process's transaction on the file."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


@pytest.mark.parametrize("face", ["async", "blocking"])
def test_while_another_process_holds_the_file_writes_are_late_and_reads_go_on(face: str, tmp_path: Path):
    with opened("sqlite", face, embedded(tmp_path / "store")) as store:

        async def scenario() -> None:
            samples = await PREPARE["state"](store.store, tmp_path)
            with locked(tmp_path / "store" / "tierstore.db"):
                for call, sample in samples.items():
                    error = await outcome(store.store, call, sample)
                    if call in WRITES_NOTHING:
                        assert error is None, call
                    else:
                        assert isinstance(error, IN_TIME), (call, error)
                        assert error.operation == call  # type: ignore[union-attr]
            for call, sample in samples.items():
                assert not isinstance(await outcome(store.store, call, sample, PATIENT_S), IN_TIME), call

        store.face.run(scenario)


@pytest.mark.parametrize("face", ["async", "blocking"])
def test_in_a_full_database_nothing_is_half_written(face: str, tmp_path: Path):
    with opened("sqlite", face, embedded(tmp_path / "store")) as store:

        async def scenario() -> None:
            state, large = store.store.state, os.urandom(200_000)
            await state.set("a", 1)
            writer: Any = parts_of(store.store).records
            raw = writer._writer.connection.raw
            pages = raw.execute("PRAGMA page_count").fetchone()[0]
            raw.execute(f"PRAGMA max_page_count = {pages}")
            for call in (
                state.set("a", large),
                state.add("b", large),
                state.set_many({"c": 1, "d": large}),
                state.update("a", lambda _: large),
                state.compare_and_set("a", 1, large),
            ):
                with pytest.raises(tierstore.QueryError, match="full"):
                    await call
            assert await state.get_many(["a", "b", "c", "d"]) == [1, None, None, None]
            raw.execute("PRAGMA max_page_count = 1000000")
            await state.set("a", large)
            assert await state.get("a") == large

        store.face.run(scenario)


@pytest.mark.parametrize("face", ["async", "blocking"])
def test_a_database_that_takes_no_writes_refuses_them_and_answers_reads(face: str, database: str, tmp_path: Path):
    with opened("postgres", face, served(database)) as store:

        async def scenario() -> None:
            samples = await PREPARE["state"](store.store, tmp_path)
            _make_read_only(database, "on")
            found = {call: await outcome(store.store, call, sample, 5.0) for call, sample in samples.items()}
            _make_read_only(database, "off")
            for call, error in found.items():
                if call in WRITES_NOTHING:
                    assert error is None, (call, error)
                else:
                    assert isinstance(error, StorageError), call
            ended = [await outcome(store.store, "set", samples["set"], PATIENT_S) for _ in range(5)]
            assert ended[-1] is None, "the ends of the connections may meet the first of them"

        store.face.run(scenario)


def _make_read_only(url: str, word: str) -> None:
    """From the next connection on; those that are there are ended."""
    with psycopg.connect(url, autocommit=True, options="-c default_transaction_read_only=off") as connection:
        name = connection.info.dbname
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = {word}".encode())
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
            [name],
        )


@pytest.mark.parametrize("face", ["async", "blocking"])
def test_a_server_that_stands_still_ends_no_call_late(face: str, database: str, postgres: Any, tmp_path: Path):
    with opened("postgres", face, served(database)) as store:

        async def scenario() -> None:
            samples = await PREPARE["state"](store.store, tmp_path)
            postgres.pause()
            try:
                for call, sample in samples.items():
                    error = await outcome(store.store, call, sample, 0.2)
                    assert isinstance(error, IN_TIME), (call, error)
            finally:
                postgres.restore()
            assert await outcome(store.store, "set", samples["set"], PATIENT_S) is None

        store.face.run(scenario)


def test_a_row_that_is_held_makes_nobody_wait_but_its_own_callers(database: str):
    """Sets that travel together part when one of them waits for a lock."""

    async def scenario() -> None:
        async with tierstore.open(served(database)) as store, tierstore.open(served(database)) as other:
            await store.state.set("held", 0)
            async with other.transaction() as tx:
                await tx.state.set("held", 1)
                held = asyncio.create_task(store.state.set("held", 2, timeout=PATIENT_S))
                await asyncio.sleep(0)
                many = [store.state.set(f"free:{number}", number, timeout=PATIENT_S) for number in range(100)]
                await asyncio.gather(*many)
                assert not held.done()
                assert isinstance(await _raised(store.state.set("held", 3, timeout=SHORT_S)), IN_TIME)
                assert isinstance(await _raised(store.state.increment("held", timeout=SHORT_S)), IN_TIME)
            await held
            assert await store.state.get("held") in (2, 3)

    asyncio.run(scenario())


async def _raised(call: Any) -> BaseException | None:
    try:
        await call
    except StorageError as error:
        return error
    return None


def test_a_caller_that_is_cancelled_leaves_the_others(database: str):
    async def scenario() -> None:
        async with tierstore.open(served(database)) as store:
            calls = [asyncio.create_task(store.state.set(f"k:{number}", number)) for number in range(60)]
            reads = [asyncio.create_task(store.state.get(f"k:{number}")) for number in range(60)]
            await asyncio.sleep(0)
            for task in (*calls[::3], *reads[::3]):
                task.cancel()
            results = await asyncio.gather(*calls, *reads, return_exceptions=True)
            for place, result in enumerate(results):
                assert isinstance(result, asyncio.CancelledError) == (place % 60 % 3 == 0), (place, result)
                assert not isinstance(result, StorageError)
            found = await store.state.get_many([f"k:{number}" for number in range(60)])
            assert all(value == number for number, value in enumerate(found) if number % 3)

    asyncio.run(scenario())


def test_state_goes_on_after_an_outage_without_being_opened_again(database: str, postgres: Any):
    async def scenario() -> None:
        store: Store
        async with tierstore.open(served(database)) as store:
            await store.state.set("a", 1)
            await asyncio.to_thread(postgres.kill)
            for call in (store.state.get("a", timeout=SHORT_S), store.state.set("a", 2, timeout=SHORT_S)):
                assert isinstance(await _raised(call), IN_TIME)
            await asyncio.to_thread(postgres.restore)
            assert await store.state.set("a", 3, timeout=PATIENT_S)
            assert await store.state.get("a", timeout=PATIENT_S) == 3

    asyncio.run(scenario())
