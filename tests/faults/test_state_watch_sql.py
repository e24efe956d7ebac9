"""A watch of state in the database misses nothing: many changes of two stores; a server that is killed, paused, restarted; late commits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tierstore
from tierstore import Config, OutcomeUnknownError, PostgresConfig, StateChange, StateConfig, StorageError
from tierstore.store import Store
from tierstore.stores.state import housekeeping

CHANGES, WRITERS, KEYS = 10_000, 25, 7
IDLE_S = 60.0


def config(request: pytest.FixtureRequest, place: str) -> Config:
    if place == "postgres":
        url = request.getfixturevalue("database")
        return Config(postgres=PostgresConfig(url, min_connections=1, max_connections=8), state=StateConfig("sql"))
    return Config(request.getfixturevalue("tmp_path"), state=StateConfig("sql"))


class Heard:
    """What a watcher was told: of each key the numbers that were set, in order; and whether there was a gap."""

    def __init__(self) -> None:
        self.etags: dict[str, list[str]] = {}
        self.gaps = 0
        self.done = asyncio.Event()

    async def listen(self, changes: Any) -> None:
        async for change in changes:
            self.take(change)
            if change.key == "w:end":
                self.done.set()
                return

    def take(self, change: StateChange) -> None:
        if change.kind == "gap":
            self.gaps += 1
        elif change.etag is not None:
            self.etags.setdefault(change.key, []).append(change.etag)


async def write(store: Store, writer: int, count: int, acknowledged: dict[str, list[str]]) -> None:
    """Sets, each with its answer noted. Each writer has keys of its own, so that the order of its answers is the order of the changes."""
    for number in range(count):
        key = f"w:{writer}:{number % KEYS}"
        try:
            etag = await store.state.set(key, number, timeout=30)
        except StorageError:
            await asyncio.sleep(0.05)
        else:
            acknowledged.setdefault(key, []).append(etag)


def is_within(part: list[str], whole: list[str]) -> bool:
    """In the same order; others may stand between, and one that was told twice counts once."""
    rest = iter(whole)
    return all(any(each == found for found in rest) for each in part)


async def watched(
    config: Config, count: int, disturb: Callable[[], Any] = lambda: None
) -> tuple[dict[str, list[str]], Heard]:
    """Callers of two stores write, a third watches, and something happens meanwhile."""
    acknowledged: dict[str, list[str]] = {}
    heard = Heard()
    async with (
        tierstore.open(config) as watcher,
        tierstore.open(config) as one,
        tierstore.open(config) as two,
        watcher.state.watch("w:", idle=IDLE_S) as changes,
    ):
        listening = asyncio.create_task(heard.listen(changes))
        writing = [
            asyncio.create_task(write((one, two)[writer % 2], writer, count // WRITERS, acknowledged))
            for writer in range(WRITERS)
        ]
        await asyncio.to_thread(disturb)
        await asyncio.gather(*writing)
        for _ in range(50):
            try:
                await one.state.set("w:end", 1)
                break
            except StorageError:
                await asyncio.sleep(0.1)
        await asyncio.wait_for(heard.done.wait(), IDLE_S)
        await listening
    return acknowledged, heard


@pytest.mark.parametrize("place", ["sqlite", "postgres"])
def test_ten_thousand_changes_of_two_writers_are_told_in_order(request: pytest.FixtureRequest, place: str):
    acknowledged, heard = asyncio.run(watched(config(request, place), CHANGES))
    assert sum(map(len, acknowledged.values())) == CHANGES
    assert heard.gaps == 0
    for key, etags in acknowledged.items():
        assert heard.etags[key] == etags, key


@pytest.mark.parametrize("fault", ["kill", "pause", "stop"])
def test_no_change_is_lost_through_an_outage_of_the_server(request: pytest.FixtureRequest, postgres: Any, fault: str):
    """Every change that was acknowledged is told, or a gap is."""

    def disturb() -> None:
        import time

        time.sleep(0.5)
        if fault == "pause":
            postgres.pause()
            time.sleep(1.0)
            postgres.restore()
        else:
            getattr(postgres, fault)()
            time.sleep(0.3)
            postgres.restore()

    acknowledged, heard = asyncio.run(watched(config(request, "postgres"), 4_000, disturb))
    assert sum(map(len, acknowledged.values())) > 500
    missing = [key for key, etags in acknowledged.items() if not is_within(etags, heard.etags.get(key, []))]
    assert not missing or heard.gaps


def test_a_change_whose_transaction_ends_late_is_not_passed_over(request: pytest.FixtureRequest):
    """It got its number before others that were committed and told meanwhile."""

    async def scenario() -> None:
        async with tierstore.open(config(request, "postgres")) as store, store.state.watch(idle=IDLE_S) as changes:
            async with store.transaction(timeout=60) as tx:
                await tx.state.set("late", 1)
                for number in range(3):
                    async with tierstore.open(config(request, "postgres")) as other:
                        await other.state.set(f"early:{number}", 1)
                    assert (await anext(changes)).key == f"early:{number}"
            assert (await anext(changes)).key == "late"
            await store.state.set("after", 1)
            assert (await anext(changes)).key == "after"

    asyncio.run(scenario())


@pytest.mark.parametrize("place", ["sqlite", "postgres"])
def test_who_was_away_while_changes_were_removed_is_told_of_a_gap(
    request: pytest.FixtureRequest, place: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(housekeeping, "KEPT_MS", 1)

    async def scenario() -> None:
        async with tierstore.open(config(request, place)) as store, store.state.watch("w:", idle=IDLE_S) as changes:
            await store.state.set("w:a", 1)
            assert (await anext(changes)).key == "w:a"
            for number in range(20):
                await store.state.set(f"w:{number}", 1)
            await asyncio.sleep(0.05)
            parts: Any = store._parts.stores["state"]
            await parts.pairs.jobs()["changes"]()
            await store.state.set("w:z", 1)
            kinds = [(await anext(changes)).kind]
            while kinds[-1] != "set":
                kinds.append((await anext(changes)).kind)
            assert kinds[0] == "gap"

    asyncio.run(scenario())


def test_the_answer_of_a_set_that_was_lost_is_in_doubt_or_an_outage(request: pytest.FixtureRequest, postgres: Any):
    """Never a wrong success, and the store goes on afterwards."""

    async def scenario() -> None:
        async with tierstore.open(config(request, "postgres")) as store:
            await store.state.set("a", 0)
            calls = [asyncio.create_task(store.state.set("a", number, timeout=5)) for number in range(50)]
            await asyncio.sleep(0)
            await asyncio.to_thread(postgres.kill)
            results = await asyncio.gather(*calls, return_exceptions=True)
            for result in results:
                assert isinstance(
                    result, (str, OutcomeUnknownError, tierstore.ConnectionError, tierstore.TimeoutError)
                ), result
            await asyncio.to_thread(postgres.restore)
            await store.state.set("a", 51, timeout=20)
            assert await store.state.get("a") == 51

    asyncio.run(scenario())


def test_sqlite_is_watched_by_another_process_of_the_same_folder(tmp_path: Path):
    """Another store over the same file, as another process has."""

    async def scenario() -> None:
        config = Config(tmp_path, state=StateConfig("sql"))
        async with (
            tierstore.open(config) as one,
            tierstore.open(config) as two,
            two.state.watch(idle=IDLE_S) as changes,
        ):
            await one.state.set("a", 1)
            assert (await anext(changes)).key == "a"

    asyncio.run(scenario())
