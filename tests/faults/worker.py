"""A process that uses a store until it is killed: `python -m tests.faults.worker MODE [PATH]`, the store by path or environment.

`write`   registers subjects one after the other in WRITERS tasks, and prints `<id> <number>` after each answer
`change`  sets the state of the id on its standard input, and prints the monotonic time after the answer
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import time

import tierstore
from tierstore import Config

WRITERS = 8
LARGE_EVERY = 5
LARGE = 100_000


def content(number: int) -> bytes:
    """Some in the row, some in chunks beside it."""
    filler = "x" * LARGE if number % LARGE_EVERY == 0 else ""
    return b'{"number": %d, "filler": "%s"}' % (number, filler.encode())


def config(path: str | None) -> Config:
    return Config(path) if path else Config.from_env()


async def write(path: str | None) -> None:
    numbers = itertools.count()
    async with tierstore.open(config(path)) as store:

        async def writer() -> None:
            for number in numbers:
                schema = await store.schemas.register(f"subject.{number}", "1.0.0", content(number))
                print(schema.id, number, flush=True)

        await asyncio.gather(*(writer() for _ in range(WRITERS)))


async def change(path: str | None) -> None:
    async with tierstore.open(config(path)) as store:
        print("ready", flush=True)
        for line in sys.stdin:
            id, state = line.split()
            await store.schemas.set_state(id, state)
            print(time.monotonic(), flush=True)


if __name__ == "__main__":
    mode = {"write": write, "change": change}[sys.argv[1]]
    asyncio.run(mode(sys.argv[2] if len(sys.argv) > 2 else None))
