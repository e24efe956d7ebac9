"""A process that makes random calls and notes each: `python -m tests.faults.history.player PART`, a `Part` as JSON.

It says `ready`, and how many calls it made now and then; it reads `rest` (end all calls, then say `quiet`), `look` (read every key,
and say `looked`) and ends with its input.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import tierstore
from tests.faults.history.calls import Caller
from tests.faults.history.notes import Notes
from tierstore import Config
from tierstore.runtime import drive

T = TypeVar("T")
MOST_CONNECTIONS, LEAST_CONNECTIONS = 10, 2
MOST_ENTRIES, TTL_S = 60, 4
"""So little is cached that entries are evicted, and loaded anew before their end."""
BEAT_S, LATE_S = 0.02, 0.03
TOLD_EVERY_S = 0.2
END_S = OPEN_S = 30.0


@dataclass(frozen=True)
class Part:
    """What one process plays. `environment` reaches the servers; `subjects` and `ids` are what all of them call for."""

    name: str
    face: str
    seed: int
    tasks: int
    pause_s: float
    folder: str
    environment: dict[str, str]
    subjects: list[str]
    ids: list[str]

    def to_json(self) -> str:
        return json.dumps(asdict(self))


def config_of(environment: dict[str, str], name: str) -> Config:
    """A few connections only, under a name that the database notes with each change."""
    config = Config.from_env(environment)
    assert config.postgres is not None
    url = f"{config.postgres.url}?application_name={name}"
    pool = replace(config.postgres, url=url, max_connections=MOST_CONNECTIONS, min_connections=LEAST_CONNECTIONS)
    return replace(
        config, postgres=pool, cache=tierstore.CacheConfig(max_entries=MOST_ENTRIES, ttl=TTL_S, warm_on_start=False)
    )


class Blocking:
    """The blocking face behind the calls of the async one: each ends before it can be awaited."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        call = getattr(self._inner, name)

        async def made(*arguments: Any, **named: Any) -> Any:
            return call(*arguments, **named)

        return made

    @asynccontextmanager
    async def transaction(self, **named: Any) -> AsyncIterator[Blocking]:
        with self._inner.transaction(**named) as open_transaction:
            yield Blocking(open_transaction)


class Orders:
    """What the driver wants, read by a thread of its own; and the answers."""

    def __init__(self) -> None:
        self.wanted = ""
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in sys.stdin:
            self.wanted = line.strip()
        self.wanted = "end"

    def answer(self, word: str) -> None:
        """In one piece: threads answer at the same time."""
        os.write(sys.stdout.fileno(), f"{word}\n".encode())


class Player:
    """The tasks of one process, in either face."""

    def __init__(self, part: Part, schemas: Any, token: Callable[[], str | None], sleep: Callable[..., Any]) -> None:
        self._part = part
        self._sleep = sleep
        self._orders = Orders()
        self._notes = Notes(Path(part.folder), part.name)
        self._schemas, self._token = schemas, token

    def caller(self, task: int) -> Caller:
        part = self._part
        return Caller(part, task, self._schemas, self._token, self._notes, can_cancel=part.face == "async")

    async def play(self, task: int) -> None:
        caller = self.caller(task)
        while not self._orders.wanted:
            await caller.any()
            await self._sleep(caller.random.expovariate(1 / self._part.pause_s) if caller.random.random() < 0.3 else 0)

    async def watch(self) -> None:
        """Note when this process got no turn, and tell how far it has come."""
        told_at = before = time.monotonic()
        while self._orders.wanted != "end":
            await self._sleep(BEAT_S)
            now = time.monotonic()
            if now - before > BEAT_S + LATE_S:
                self._notes.lag(before, now)
            if now - told_at > TOLD_EVERY_S:
                told_at = now
                self._orders.answer(str(self._notes.count))
            before = now

    async def rest(self) -> None:
        """After the last call of all tasks."""
        self._orders.answer("quiet")
        await self._until("look")
        await self.caller(0).look_at_all()
        self._orders.answer("looked")
        await self._until("end")

    async def _until(self, word: str) -> None:
        while self._orders.wanted not in (word, "end"):
            await self._sleep(BEAT_S)

    def ready(self) -> None:
        self._orders.answer("ready")


async def until_it_opens(opening: Callable[[], Awaitable[T]], sleep: Callable[[float], Awaitable[None]]) -> T:
    """A process may be started while the database is away."""
    ends = time.monotonic() + OPEN_S
    while True:
        try:
            return await opening()
        except tierstore.StorageError:
            if time.monotonic() > ends:
                raise
            await sleep(BEAT_S)


async def asynchronous(part: Part) -> None:
    config = config_of(part.environment, part.name)
    async with await until_it_opens(lambda: tierstore.open(config), asyncio.sleep) as store:
        player = Player(part, store.schemas, store.token, asyncio.sleep)
        watch = asyncio.create_task(player.watch())
        player.ready()
        await asyncio.gather(*(player.play(task) for task in range(part.tasks)))
        await player.rest()
        await watch


def blocking(part: Part) -> None:
    async def sleep(seconds: float) -> None:
        time.sleep(seconds)  # noqa: ASYNC251  (no loop runs it)

    async def opening() -> Any:
        return tierstore.blocking.open(config_of(part.environment, part.name))

    with drive(until_it_opens(opening, sleep)) as store:
        player = Player(part, Blocking(store.schemas), store.token, sleep)
        watch = threading.Thread(target=lambda: drive(player.watch()), daemon=True)
        watch.start()
        player.ready()
        threads = [
            threading.Thread(target=lambda at=at: drive(player.play(at)), daemon=True) for at in range(part.tasks)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(END_S)
        drive(player.rest())
        watch.join()


def main(text: str) -> None:
    part = Part(**json.loads(text))
    if part.face == "async":
        asyncio.run(asynchronous(part))
    else:
        blocking(part)


if __name__ == "__main__":
    main(sys.argv[1])
    sys.stdout.flush()
    os._exit(0)  # threads of calls that hang do not hold it
