"""`tierstore.testing.state_conformance`: our own drivers pass every check, and a driver that is wrong in one thing fails at it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.contract.state_stores import OpenState
from tierstore.backends.memory.pairs import MemoryPairs
from tierstore.backends.pairs import KEEP_MS, Pair, Put
from tierstore.runtime import AsyncioRuntime
from tierstore.testing import state_checks, state_conformance


@pytest.mark.requirement("S3-23", "S3-31")
@pytest.mark.parametrize("check", state_checks())
def test_our_drivers_pass(kept: OpenState, check: str):
    async def scenario(state: Any) -> None:
        await state_conformance(state._parts.pairs, blocking=kept.face.name == "blocking", check=check)

    kept.run(scenario)


class Forgetful(MemoryPairs):
    """Takes whatever etag for the right one."""

    async def put(self, put: Put, *, deadline: Any) -> str | None:
        return await super().put(put._replace(expected=None), deadline=deadline)


class Eternal(MemoryPairs):
    """Keeps what has ended."""

    async def put(self, put: Put, *, deadline: Any) -> str | None:
        return await super().put(put._replace(ttl_ms=None if put.ttl_ms != KEEP_MS else KEEP_MS), deadline=deadline)


class Repeating(MemoryPairs):
    """Gives every value the same etag."""

    async def get_many(self, keys: Any, *, deadline: Any) -> list[Pair | None]:
        found = await super().get_many(keys, deadline=deadline)
        return [pair and pair._replace(etag="0") for pair in found]


class Wild(MemoryPairs):
    """Takes a prefix for a pattern."""

    async def page(self, prefix: str, *, limit: int, after: str | None, deadline: Any) -> Any:
        return await super().page(prefix.split("%")[0], limit=limit, after=after, deadline=deadline)


class Rounding(MemoryPairs):
    """Counts as floats do."""

    async def increment(self, key: str, by: int, ttl_ms: int | None, *, deadline: Any) -> int | None:
        total = await super().increment(key, by, ttl_ms, deadline=deadline)
        return None if total is None else int(float(total))


class Silent(MemoryPairs):
    """Tells no deletions."""

    async def delete(self, key: str, *, expected: str | None = None, deadline: Any) -> bool | None:
        feeds, self._feeds = self._feeds, []
        try:
            return await super().delete(key, expected=expected, deadline=deadline)
        finally:
            self._feeds = feeds


WRONG = {
    Forgetful: "a_conditional_write_needs_what_it_expects",
    Eternal: "an_end_is_told_moved_and_taken_away",
    Repeating: "a_value_comes_back_as_it_was",
    Wild: "pages_give_all_keys_under_a_prefix_and_no_other",
    Rounding: "increments_are_exact_and_none_is_lost",
    Silent: "every_change_is_told_in_order",
}


@pytest.mark.parametrize("wrong", WRONG, ids=lambda cls: cls.__name__)
def test_a_wrong_driver_fails_at_what_is_wrong(wrong: type[MemoryPairs], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tierstore.testing.TURNS", 5)

    async def scenario() -> None:
        driver = wrong(AsyncioRuntime(), max_entries=10_000)
        with pytest.raises(AssertionError, match=WRONG[wrong].replace("_", " ")[:20]):
            await state_conformance(driver, check=WRONG[wrong])

    asyncio.run(scenario())


def test_it_leaves_nothing_behind_and_runs_all_checks():
    async def scenario() -> None:
        driver = MemoryPairs(AsyncioRuntime(), max_entries=10_000)
        await driver.put(Put("mine", b"1", None), deadline=AsyncioRuntime().deadline(5))
        sweeping = asyncio.create_task(_sweep(driver))
        await state_conformance(driver)
        sweeping.cancel()
        assert (await driver.counts(AsyncioRuntime().deadline(5))).keys == 1

    asyncio.run(scenario())


async def _sweep(driver: MemoryPairs) -> None:
    """What the store's supervisor does."""
    while True:
        for job in driver.jobs().values():
            await job()
        await asyncio.sleep(0.05)
