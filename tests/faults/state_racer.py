"""A process that uses state until it is told to end, or killed: `python -m tests.faults.state_racer MODE FACE`, the store by environment.

`race`    waits for a line on its standard input, makes CALLERS callers race on the same keys, and prints as JSON what they got
`write`   sets keys one after the other in WRITERS callers, counting up, and prints `<key> <number>` after each answer
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import threading
from collections.abc import Callable
from typing import Any

import tierstore
from tierstore import ABSENT, Config

CALLERS, WRITERS = 12, 4
ROUNDS = 15


def race(state: Any, name: str, found: dict[str, list[Any]]) -> None:
    """One caller of the blocking face."""
    for number in range(ROUNDS):
        if (popped := state.pop(f"pop:{number}")) is not None:
            found["popped"].append([number, popped])
        if state.add(f"add:{number}", name):
            found["added"].append(number)
        found["sums"].append(state.increment("sum", 3))
        if state.compare_and_set(f"cas:{number}", ABSENT, name):
            found["won"].append(number)
        state.update("list", lambda value, number=number: [*value, f"{name}:{number}"], default=[])


async def arace(state: Any, name: str, found: dict[str, list[Any]]) -> None:
    """One of the async face."""
    for number in range(ROUNDS):
        if (popped := await state.pop(f"pop:{number}")) is not None:
            found["popped"].append([number, popped])
        if await state.add(f"add:{number}", name):
            found["added"].append(number)
        found["sums"].append(await state.increment("sum", 3))
        if await state.compare_and_set(f"cas:{number}", ABSENT, name):
            found["won"].append(number)
        await state.update("list", lambda value, number=number: [*value, f"{name}:{number}"], default=[], timeout=60)


def nothing() -> dict[str, list[Any]]:
    return {"popped": [], "added": [], "sums": [], "won": []}


async def race_async() -> None:
    found = nothing()
    async with tierstore.open(Config.from_env()) as store:
        await _told_to_begin()
        await asyncio.gather(*(arace(store.state, f"a{number}", found) for number in range(CALLERS)))
    print(json.dumps(found), flush=True)


async def _told_to_begin() -> None:
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)


def race_blocking() -> None:
    found = nothing()
    with tierstore.blocking.open(Config.from_env()) as store:
        print("ready", flush=True)
        sys.stdin.readline()
        threads = [threading.Thread(target=race, args=(store.state, f"b{number}", found)) for number in range(CALLERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    print(json.dumps(found), flush=True)


async def write() -> None:
    numbers = itertools.count()
    async with tierstore.open(Config.from_env()) as store:

        async def writer(own: int) -> None:
            for number in numbers:
                key = f"written:{own}:{number % 50}"
                await store.state.set(key, number, ttl=600)
                print(key, number, flush=True)

        await asyncio.gather(*map(writer, range(WRITERS)))


if __name__ == "__main__":
    modes: dict[str, Callable[[], object]] = {
        "race async": lambda: asyncio.run(race_async()),
        "race blocking": race_blocking,
        "write async": lambda: asyncio.run(write()),
    }
    modes[" ".join(sys.argv[1:])]()
