"""A `Pairs` driver on Redis with deadlines filled in, for tests of the protocol."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from tierstore.backends import Gap
from tierstore.backends.pairs import Changed, Feed, Put
from tierstore.backends.redis.key_value import route
from tierstore.backends.redis.node import STATE
from tierstore.backends.redis.pairs import RedisPairs

PATIENT_S, HEARD_S = 10.0, 20.0
TTL_MS = 60_000


class State:
    """The driver under test. `run` calls a method of it."""

    def __init__(self, face: Any, *, prefix: str | None = None, **where: Any) -> None:
        options = {name: where.pop(name) for name in ("cache_prefix", "max_watched") if name in where}
        self.face = face
        self.url = where.get("url", "")
        self.runtime = face.runtime()
        self.prefix = f"{os.urandom(6).hex()}:" if prefix is None else prefix
        self.pairs = RedisPairs(self.runtime, route(self.runtime, duty=STATE, **where), prefix=self.prefix, **options)

    def run(self, method: str, *arguments: Any, timeout_s: float = PATIENT_S, **named: Any) -> Any:
        async def call() -> Any:
            deadline = self.runtime.deadline(timeout_s)
            return await getattr(self.pairs, method)(*arguments, **named, deadline=deadline)

        return self.face.run(call)

    def open(self) -> State:
        async def opening() -> None:
            await self.pairs.open(self.runtime.deadline(PATIENT_S))

        self.face.run(opening)
        return self

    def close(self) -> None:
        async def closing() -> None:
            await self.pairs.close(self.runtime.deadline(PATIENT_S))

        self.face.run(closing)

    def put(self, key: str, value: bytes, ttl_ms: int | None = TTL_MS, expected: str | None = None) -> Any:
        return self.run("put", Put(key, value, ttl_ms, expected))

    def get(self, key: str) -> bytes | None:
        (pair,) = self.run("get_many", [key])
        return None if pair is None else pair.value

    def etag(self, key: str) -> str:
        (pair,) = self.run("get_many", [key])
        return pair.etag

    def keys(self, prefix: str = "", *, limit: int = 100) -> list[str]:
        """All that the pages give, in the order in which they come."""
        found, after = [], None
        while True:
            page, after = self.run("page", prefix, limit=limit, after=after)
            assert len(page) <= limit
            found += page
            if after is None:
                return found

    def watch(self, prefix: str = "") -> Watch:
        return Watch(self, self.run("watch", prefix))

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        """What the condition gives, as soon as it gives something."""
        end = time.monotonic() + HEARD_S
        while not (found := condition()):
            assert time.monotonic() < end, what
            self.face.run(self.runtime.sleep, 0.01)
        return found


class Watch:
    """A feed, read to a certain event."""

    def __init__(self, state: State, feed: Feed) -> None:
        self._state = state
        self._feed = feed
        self.heard: list[Changed | Gap] = []

    def receive(self, wait_s: float = 0.0) -> list[Changed | Gap]:
        async def receiving() -> Any:
            return await self._feed.receive(wait_s=wait_s)

        new = self._state.face.run(receiving)
        self.heard += new
        return new

    def until(self, kind: str, key: str | None = None) -> list[tuple[str, str]]:
        """Every (kind, key) up to and with the first of `kind` (of `key`); a gap has no key."""
        end = time.monotonic() + HEARD_S
        came: list[tuple[str, str]] = []
        while time.monotonic() < end:
            for event in self.receive(0.2):
                came.append(("gap", "") if isinstance(event, Gap) else (event.kind, event.key))
            if any(one == kind and key in (None, name) for one, name in came):
                return came
        raise AssertionError(f"{kind} of {key} did not come; what came: {came}")

    def close(self) -> None:
        async def closing() -> None:
            await self._feed.close()

        self._state.face.run(closing)
