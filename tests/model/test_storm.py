"""Loaders and writers at once over one real server, through the async driver: what was announced as changed is never read again."""

from __future__ import annotations

import asyncio
import os
import random
from typing import Any

import pytest

from tests.model.fence_world import FIRST_ID, Notes, World, writer
from tierstore.backends import Change, Fill
from tierstore.backends.redis import key_value as redis_backend
from tierstore.backends.redis.commands import Plain, Script
from tierstore.backends.redis.key_value import RedisKeyValue, route
from tierstore.plan.keys import floor_key, lease_key
from tierstore.runtime import AsyncioRuntime

LOADERS, WRITERS, LOADS, WRITES, LOSSES, READS, SEEDS = 10, 2, 80, 15, 8, 150, 4
LEASE_MS, TTL_MS, LONGEST_PAUSE_S = 20, 60_000, 0.004


class Storm:
    """Two keys of one slot, a database that keeps transactions as PostgreSQL does, and a server that loses things."""

    def __init__(self, key_value: Any, runtime: AsyncioRuntime, seed: int) -> None:
        self._key_value = key_value
        self._runtime = runtime
        self._draw = random.Random(seed)
        self._tag = f"ts1:{{storm{os.urandom(4).hex()}:1}}:storm:"
        self.world = World(tier=None, next_id=FIRST_ID)
        self.accepted = 0
        self.stale = 0
        self._announced = dict(self.world.rows)

    def _deadline(self) -> Any:
        return self._runtime.deadline(10)

    async def pause(self, times: int = 1) -> None:
        await asyncio.sleep(self._draw.random() * LONGEST_PAUSE_S * times)

    async def load(self) -> None:
        for _ in range(LOADS):
            key, token = self._draw.choice("AB"), os.urandom(16)
            (lease,) = await self._key_value.lease_many(
                [self._tag + key], token=token, lease_ms=LEASE_MS, deadline=self._deadline()
            )
            await self.pause()
            if lease.value is not None or not lease.held:
                continue
            version, xmin, xmax = self.world.primary(key)
            await self.pause()
            fill = Fill(self._tag + key, token, b"%d" % version, version, 1, xmin, xmax, lease.seeding, TTL_MS)
            self.accepted += (await self._key_value.fill_many([fill], deadline=self._deadline()))[0]

    async def write(self) -> None:
        for _ in range(WRITES):
            key, notes = self._draw.choice("AB"), Notes()
            assign, commit, _ = writer(key)
            while assign(self.world, notes) is not None:
                await self.pause()
            await self.pause()
            commit(self.world, notes)
            version = self.world.rows[key]
            await self.pause()
            await self._key_value.invalidate([Change(self._tag + key, 1)], floor=notes["id"], deadline=self._deadline())
            self._announced[key] = max(self._announced[key], version)
            await self.pause(self._draw.choice((1, 8)))

    async def lose(self) -> None:
        floor = floor_key(self._tag)
        for _ in range(LOSSES):
            await self.pause(10)
            some = self._draw.sample(
                [floor, *(name for key in "AB" for name in (self._tag + key, lease_key(self._tag + key)))], 2
            )
            await self._key_value._route.ask([Plain(floor, ("DEL", *some))], self._deadline())
            if self._draw.random() < 0.3:
                await self._key_value._route.ask([Plain(floor, ("SCRIPT", "FLUSH"))], self._deadline())

    async def read(self) -> None:
        """What begins after an invalidation has returned sees that version or later."""
        for _ in range(READS):
            least = dict(self._announced)
            found = await self._key_value.get_many([self._tag + key for key in "AB"], deadline=self._deadline())
            self.stale += sum(
                value is not None and int(value) < least[key] for key, value in zip("AB", found, strict=True)
            )
            await self.pause()


async def storm(url: str, seed: int) -> tuple[int, int]:
    """How many reads were stale, on the way and at rest, and how many fills were accepted."""
    runtime = AsyncioRuntime()
    key_value = RedisKeyValue(runtime, route(runtime, url=url), soft_timeout_s=10, hard_timeout_s=10)
    scene = Storm(key_value, runtime, seed)
    await asyncio.gather(
        *(scene.load() for _ in range(LOADERS)), *(scene.write() for _ in range(WRITERS)), scene.lose(), scene.read()
    )
    await scene.read()
    await key_value.close(runtime.deadline(1))
    return scene.stale, scene.accepted


@pytest.mark.parametrize("seed", range(SEEDS))
def test_nothing_stale_is_read(redis_server, seed):
    stale, accepted = asyncio.run(storm(redis_server.url, seed))
    assert stale == 0, f"seed {seed}"
    assert accepted > 0


def test_plain_puts_are_caught(redis_server, monkeypatch):
    monkeypatch.setattr(redis_backend, "FILL", Script.of("redis.call('SET', KEYS[1], ARGV[6]) return 1"))
    monkeypatch.setattr(redis_backend, "LEASE", Script.of("return redis.call('GET', KEYS[1]) or 1"))
    assert any(asyncio.run(storm(redis_server.url, seed))[0] for seed in range(10))
