"""A process that changes state beside another one: `python -m tests.faults.state_worker PREFIX WHERE`, WHERE as JSON.

It reads the names of races from its standard input, runs each, and prints what it won, as JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import random
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from tierstore.backends.pairs import ABSENT_TAG, Put
from tierstore.backends.redis.key_value import route
from tierstore.backends.redis.node import STATE
from tierstore.backends.redis.pairs import RedisPairs
from tierstore.errors import StorageError
from tierstore.runtime import AsyncioRuntime, Deadline

KEYS, CALLERS, TTL_MS = 200, 8, 600_000
WRITERS, PAUSE_S, UNDER_WAY, AFTERWARDS = 50, 0.03, 500, 10
Race = Callable[[RedisPairs, Deadline], Awaitable[Any]]


async def pop(pairs: RedisPairs, deadline: Deadline) -> list[int]:
    """The keys whose value it got."""
    values = await asyncio.gather(*(pairs.pop(f"k{number}", deadline=deadline) for number in range(KEYS)))
    return [number for number, value in enumerate(values) if value is not None]


async def add(pairs: RedisPairs, deadline: Deadline) -> list[int]:
    """The keys that were absent."""
    puts = [Put(f"k{number}", b"1", TTL_MS, ABSENT_TAG) for number in range(KEYS)]
    etags = await asyncio.gather(*(pairs.put(put, deadline=deadline) for put in puts))
    return [number for number, etag in enumerate(etags) if etag is not None]


async def increment(pairs: RedisPairs, deadline: Deadline) -> list[int | None]:
    """The sums that it saw."""
    return await asyncio.gather(*(pairs.increment("n", 1, None, deadline=deadline) for _ in range(KEYS)))


async def compare_and_set(pairs: RedisPairs, deadline: Deadline) -> int:
    """How often it added to a number by its etag."""

    async def caller() -> int:
        won = 0
        while won < KEYS // CALLERS:
            (pair,) = await pairs.get_many(["n"], deadline=deadline)
            assert pair is not None
            put = Put("n", str(int(pair.value) + 1).encode(), None, pair.etag)
            won += await pairs.put(put, deadline=deadline) is not None
        return won

    return sum(await asyncio.gather(*(caller() for _ in range(CALLERS))))


async def storm(pairs: RedisPairs, deadline: Deadline) -> list[tuple[str, str, float]]:
    """Set values, whatever the server does, until the next line comes: key, etag and the monotonic time before it, of those that were
    acknowledged. It says when it is under way, and after that line each writer goes on until some more are acknowledged."""
    acknowledged: list[tuple[str, str, float]] = []
    enough = asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)

    async def change(key: str, number: int) -> bool:
        deadline.check("waiting for the server, or to be told that it is enough")
        await asyncio.sleep(random.uniform(0, PAUSE_S))
        began = time.monotonic()
        with contextlib.suppress(StorageError):
            etag = await pairs.put(Put(key, b"%d" % number, TTL_MS), deadline=Deadline(time.monotonic, began + 1))
            acknowledged.append((key, str(etag), began))
            if len(acknowledged) == UNDER_WAY:
                print("under way", flush=True)
            return True
        return False

    async def writer(key: str) -> None:
        numbers = itertools.count()
        while not enough.done():
            await change(key, next(numbers))
        afterwards = 0
        while afterwards < AFTERWARDS:
            afterwards += await change(key, next(numbers))

    own = os.getpid()
    await asyncio.gather(*(writer(f"{own}:{number}") for number in range(WRITERS)))
    return acknowledged


RACES: dict[str, Race] = {
    "pop": pop,
    "add": add,
    "increment": increment,
    "compare_and_set": compare_and_set,
    "storm": storm,
}


async def main(prefix: str, where: str) -> None:
    runtime = AsyncioRuntime()
    pairs = RedisPairs(runtime, route(runtime, duty=STATE, **json.loads(where)), prefix=prefix)
    await pairs.open(runtime.deadline(10))
    print("ready", flush=True)
    while line := sys.stdin.readline():
        print(json.dumps(await RACES[line.strip()](pairs, runtime.deadline(60))), flush=True)
    await pairs.close(runtime.deadline(5))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3]))
