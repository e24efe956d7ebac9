"""`store.state` with a clock that the test moves: ends to the millisecond, the sweep, the bounds of memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Face
from tests.contract.state_stores import COLD
from tierstore import Config, StateConfig, StorageError
from tierstore.backends.memory.ends import Ends
from tierstore.backends.memory.feed import MOST_WAITING
from tierstore.backends.memory.pairs import MemoryPairs
from tierstore.backends.memory.sorted_keys import SortedKeys
from tierstore.backends.pairs import Put
from tierstore.store import Store, parts_of
from tierstore.stores.state import StateStore
from tierstore.stores.state.parts import StateParts
from tierstore.telemetry import OFF

START_S = 1_800_000_000.0


class Clock:
    def __init__(self) -> None:
        self.now = START_S

    def __call__(self) -> float:
        return self.now


@contextmanager
def clocked(face: Face, config: Config) -> Iterator[tuple[Store, Clock]]:
    """A store whose wall clock stands still until it is moved."""
    runtime, clock = face.runtime(), Clock()
    runtime.wall = clock  # type: ignore[method-assign]

    async def opening() -> Store:
        return await Store.opened(config, runtime, OFF)

    store = face.run(opening)
    try:
        yield store, clock
    finally:
        face.run(store.close)


def at(place: str, folder: Path, **state: Any) -> Config:
    return Config(folder, cache=COLD, state=StateConfig("memory" if place == "memory" else "sql", **state))


@pytest.mark.parametrize("place", ["memory", "sqlite"])
def test_a_value_ends_at_its_moment_and_not_before(face: Face, place: str, tmp_path: Path):
    with clocked(face, at(place, tmp_path)) as (store, clock):

        async def scenario() -> None:
            state = store.state
            await state.set("a", [1], ttl=10)
            await state.set("forever", 1, ttl=None)
            clock.now += 9.999
            assert await state.get("a") == [1]
            assert await state.ttl("a") == pytest.approx(0.001)
            assert (await state.get_entry("a")).expires_at.timestamp() == START_S + 10  # type: ignore[union-attr]
            assert (await state.keys()).items == ("a", "forever")
            clock.now = START_S + 10
            assert await state.get("a") is None
            assert await state.get_many(["a", "forever"]) == [None, 1]
            assert await state.exists("a") is False
            assert await state.ttl("a") is None
            assert (await state.keys()).items == ("forever",)
            assert await state.touch("a", 10) is False
            assert await state.add("a", 2, ttl=1) is True
            clock.now += 100 * 365 * 86_400
            assert await state.get("forever") == 1

        face.run(scenario)


@pytest.mark.parametrize("place", ["memory", "sqlite"])
def test_the_sweep_removes_what_ended_in_batches_and_tells_it(face: Face, place: str, tmp_path: Path):
    """A lookup finds nothing before it, too."""
    with clocked(face, at(place, tmp_path)) as (store, clock):

        async def scenario() -> None:
            state = store.state
            count = 1_203
            await state.set_many({f"gone:{number}": number for number in range(count)}, ttl=5)
            await state.set_many({f"stays:{number}": number for number in range(10)}, ttl=50)
            await state.set("moved", 1, ttl=5)
            await state.touch("moved", 500)
            clock.now += 7
            async with state.watch(idle=30) as changes:
                kinds = [(await anext(changes)).kind for _ in range(count)]
            assert kinds == ["expire"] * count
            statistics = await state.statistics()
            assert statistics is not None
            assert (statistics.keys, statistics.expired) == (11, count)

        face.run(scenario)


@pytest.mark.parametrize("place", ["memory", "sqlite"])
def test_what_ended_and_is_written_anew_is_no_more_swept(face: Face, place: str, tmp_path: Path):
    with clocked(face, at(place, tmp_path)) as (store, clock):

        async def scenario() -> None:
            state = store.state
            await state.set("a", 1, ttl=1)
            clock.now += 3
            await state.set("a", 2, ttl=100)
            parts = parts_of(store).stores["state"]
            assert isinstance(parts, StateParts)
            for _ in range(3):
                await parts.pairs.jobs()["sweep"]()
            assert await state.get("a") == 2
            assert await state.ttl("a") == 100

        face.run(scenario)


# Memory


def test_memory_refuses_a_further_key_and_evicts_nothing(face: Face, tmp_path: Path):
    with clocked(face, at("memory", tmp_path, max_entries=3)) as (store, clock):

        async def scenario() -> None:
            state = store.state
            await state.set_many({"a": 1, "b": 2}, ttl=10)
            await state.set("c", 3, ttl=None)
            for refused in (
                state.set("d", 1),
                state.add("d", 1),
                state.increment("d"),
                state.set_many({"a": 9, "d": 9}),
                state.update("d", lambda _: 1),
            ):
                with pytest.raises(StorageError, match="max_entries") as raised:
                    await refused
                assert raised.value.store == "state"
            assert await state.get_many(["a", "b", "c", "d"]) == [1, 2, 3, None]
            await state.set("a", 5, ttl=20)
            await state.increment("b")
            clock.now += 10.5
            assert await state.add("d", 4), "what has ended takes no room"
            with pytest.raises(StorageError):
                await state.set("e", 1)
            await state.delete("c")
            await state.set("e", 1)

        face.run(scenario)


def test_memory_says_in_health_that_it_is_gone_at_the_end(face: Face, tmp_path: Path):
    with clocked(face, at("memory", tmp_path)) as (store, _):
        health = face.run(store.health)
        assert any("gone when this process ends" in warning for warning in health.warnings)
        assert health.tiers["state"].ok


def test_a_slow_watcher_of_memory_is_told_of_its_gap(face: Face, tmp_path: Path):
    with clocked(face, at("memory", tmp_path)) as (store, _):

        async def scenario(state: StateStore) -> list[str]:
            async with state.watch(idle=5) as changes:
                for number in range(MOST_WAITING + 5):
                    await state.set("a", number)
                return [change.kind for _ in range(6) async for change in _one(changes)]

        assert face.run(scenario, store.state) == ["gap", "set", "set", "set", "set", "set"]


async def _one(changes: Any) -> Any:
    yield await anext(changes)


def test_ends_by_the_second_forget_what_was_moved():
    ends = Ends()
    for number in range(1_000):
        ends.move("again", None if number == 0 else 1_000_000 + (number - 1) * 1_000, 1_000_000 + number * 1_000)
    assert len(ends._buckets) == 1
    assert len(ends._seconds) < 200
    ends.move("other", None, 1_500)
    assert ends.take_due(1_999, 10) == []
    assert ends.take_due(1_999, 10, exact=True) == ["other"]
    ends.move("third", None, 1_500)
    assert ends.take_due(2_000, 10) == ["third"]
    assert ends.take_due(2_000, 10) == []
    for number in range(10):
        ends.move(f"k{number}", None, 3_000 + number)
    assert sorted(ends.take_due(9_000, 4) + ends.take_due(9_000, 100)) == [f"k{number}" for number in range(10)]


def test_sorted_keys_give_what_is_held_once_and_in_order():
    keys: SortedKeys = SortedKeys()
    held: dict[str, int] = {}
    for number in range(300):
        held[f"a{number % 7}"] = number
        keys.add(f"a{number % 7}")
    held.pop("a3")
    assert list(keys.under("a", None, held)) == ["a0", "a1", "a2", "a4", "a5", "a6"]
    assert list(keys.under("a", "a4", held)) == ["a5", "a6"]
    assert list(keys.under("b", None, held)) == []
    assert len(keys._keys) < 100


def test_memory_counts_its_bytes_back_to_nothing(face: Face):
    runtime = face.runtime()
    pairs = MemoryPairs(runtime, max_entries=10)

    async def scenario() -> None:
        deadline = runtime.deadline(5)
        await pairs.put_many([Put("a", b"12345", 1_000), Put("a", b"1", None), Put("b", b"", 5)], deadline=deadline)
        assert pairs.size()[0] == 2
        await pairs.increment("n", 5, 100, deadline=deadline)
        await pairs.increment("n", 500, 100, deadline=deadline)
        assert await pairs.delete_many(["a", "b", "n", "x"], deadline=deadline) >= 2
        await pairs.delete_prefix("", limit=10, after=None, deadline=deadline)

    face.run(scenario)
    while pairs.size()[0]:
        pairs._sweep(10, exact=True)
    assert pairs.size() == (0, 0)
