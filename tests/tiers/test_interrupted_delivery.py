"""A writer that is cancelled or interrupted at any await: what it committed is seen from then on (I2), and delivered all the same."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.model.bus import Bus, FakeChannel
from tests.tiers.conftest import Bench
from tierstore.runtime import drive
from tierstore.tiers.group_commit import GroupCommit


class Interrupt:
    """Ends whoever calls at the `at`-th await from then on: the task is cancelled, or Ctrl-C comes."""

    def __init__(self, face: str) -> None:
        self._face = face
        self.left = 0
        self.where = ""

    async def __call__(self, name: str) -> None:
        self.left -= 1
        if self.left != 0:
            return
        self.where = name
        if self._face == "blocking":
            raise KeyboardInterrupt
        self._task.cancel()
        await asyncio.sleep(0)

    async def run(self, write: Callable[[], Awaitable[None]], at: int) -> bool:
        """Whether it was ended."""
        self.left, self.where = at, ""
        try:
            if self._face == "blocking":
                drive(write())  # type: ignore[arg-type]
            else:
                self._task = asyncio.ensure_future(write())
                await self._task
        except (KeyboardInterrupt, asyncio.CancelledError):
            pass
        self.left = 0
        return self.where != ""


class Deployed(Bench):
    """Redis with its channel, and a replica that has what there was before the write, and nothing later."""

    def __init__(self, runtime: Any) -> None:
        self.channel = FakeChannel(Bus(), runtime)
        super().__init__(runtime, l2=True, channel=self.channel, replicas=True)
        self.records.replica = True
        self.together: GroupCommit[str, int] = GroupCommit(self.engine, self._apply)

    async def _apply(self, transaction: Any, keys: Any) -> list[int]:
        versions = [await transaction.unit.put(key) for key in keys]
        for key, version in zip(keys, versions, strict=True):
            transaction.changed(self.items, key, version)
        return versions

    def hear(self) -> None:
        """An echo: L1 and L2 are fresh."""
        self.engine.invalidation.on_echo(self.runtime.monotonic(), l2=True)

    def watch(self, step: Callable[[str], Awaitable[None]]) -> None:
        self.records.step = self.key_value.step = self.channel._step = step


WRITES = {
    "alone": lambda bench: bench.put("a"),
    "together": lambda bench: bench.together.write("a", bench.deadline()),
}


@pytest.mark.parametrize("how", WRITES)
def test_a_write_that_ended_at_any_await_is_seen_and_delivered_if_it_was_committed(face, how):
    async def one(at: int) -> bool:
        bench, interrupt = Deployed(face.runtime()), Interrupt(face.name)
        bench.hear()
        await bench.put("a")
        bench.world.replayed = len(bench.world.log)
        assert await bench.get("a") == 1
        bench.watch(interrupt)
        ended = await interrupt.run(lambda: WRITES[how](bench), at)
        where = f"ended at await {at}, {interrupt.where!r}"
        await at_rest(bench)
        now, position = bench.world.version("a"), len(bench.world.log)
        if interrupt.where == "committed":  # it does not know where the log stood
            recent = await bench.engine._replicas.recent(bench.deadline())
            assert int(recent or 0) == position, f"{where}: a replica may lack it"
        assert await bench.get("a") == now, where
        bench.items.l1.clear()
        assert await bench.get("a") == now, f"{where}, by what lies below L1"
        await bench.engine._relay.step()
        await bench.engine._delivery.mark()
        assert [row for row in bench.world.outbox if not row.delivered] == [], where
        other = bench.second()
        other.engine.invalidation.on_l2_echo(other.runtime.monotonic())
        assert await other.get("a") == now, f"{where}, in another process"
        bench.hear()
        assert not bench.engine.unconfirmed, where
        reached.add((interrupt.where, now))
        return ended

    async def at_rest(bench: Bench) -> None:
        """A transaction that is nobody's goes on to its end."""
        if face.name == "async":
            for _ in range(20):
                await asyncio.sleep(0)

    async def story() -> None:
        at = 1
        while await one(at):
            at += 1

    reached: set[tuple[str, int]] = set()
    face.run(story)
    assert {("committed", 2), ("l2 invalidate", 2), ("l2 invalidate answered", 2), ("publish", 2)} <= reached
    assert ("write", 1) in reached


def test_after_an_interrupt_between_two_awaits_no_replica_is_believed(face):
    """The writer may have got as far as its commit, and no further."""

    async def story() -> None:
        bench = Deployed(face.runtime())
        await bench.put("a", "b")
        bench.world.replayed = len(bench.world.log)
        assert await bench.get("a") == 1
        await bench.second().put("b")  # as if it were its own
        bench.engine.invalidation.restart()
        assert await bench.get("b") == bench.world.version("b")

    face.run(story)
