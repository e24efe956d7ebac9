"""An engine over a database that exists in memory only, in either face."""

from __future__ import annotations

from typing import Any

import pytest

from tests.model.world import FakeRecords, Item, SteppedKeyValue, World, item_kind
from tierstore.plan.keys import Namespace
from tierstore.tiers.cached import CachedKind
from tierstore.tiers.engine import Engine, Limits, Tiers
from tierstore.tiers.l1 import Entry


def engine(runtime: Any, records: Any, key_value: Any, *, limits: Limits | None = None, **more: Any) -> Engine:
    """`more`: the other drivers."""
    return Engine(runtime, Tiers(records, key_value, **more), namespace=Namespace("", "test"), limits=limits)


class Bench:
    """`items` is the cached kind, `put` writes through the engine."""

    def __init__(self, runtime: Any, *, l2: bool, **more: Any) -> None:
        self.runtime = runtime
        self.world = World()
        self.records = FakeRecords(self.world, runtime)
        self.key_value = SteppedKeyValue(runtime) if l2 else None
        kind = more.pop("kind", {})
        self.engine = engine(runtime, self.records, self.key_value, **more)
        self.items: CachedKind[str, Item] = self.engine.kind(item_kind(**kind))

    def deadline(self, seconds: float = 5.0) -> Any:
        return self.runtime.deadline(seconds)

    async def get(self, key: str, **more: Any) -> int | None:
        """The version that a read answers."""
        item = await self.items.get(key, deadline=self.deadline(), **more)
        return None if item is None else item.row_version

    async def put(self, *keys: str, present: bool = True) -> None:
        async with self.engine.write(deadline=self.deadline()) as write:
            for key in keys:
                write.changed(self.items, key, await write.unit.put(key, present=present))

    def age(self, key: str, seconds: float = 0.0) -> None:
        """Let the entry of L1 be at its end, and `seconds` older."""
        there = self.items.l1.look(key)
        self.items.l1.cache.put(key, Entry(there.value, 0.0, there.version, there.loaded_at - seconds, 0.0, 1))

    def second(self, **more: Any) -> Bench:
        """Another process over the same database and L2."""
        other = Bench(self.runtime, l2=False)
        other.world = self.world
        other.records = FakeRecords(self.world, self.runtime)
        other.key_value = self.key_value
        other.engine = engine(self.runtime, other.records, self.key_value, **more)
        other.items = other.engine.kind(item_kind())
        return other


@pytest.fixture(params=[False, True], ids=["without L2", "with L2"])
def bench(request, face) -> Bench:
    return Bench(face.runtime(), l2=request.param)


@pytest.fixture
def local(face) -> Bench:
    return Bench(face.runtime(), l2=False)


@pytest.fixture
def shared(face) -> Bench:
    return Bench(face.runtime(), l2=True)
