"""What a feed of changes has in common on one server and in a cluster: what it heard, when keys end, how it comes back after a loss."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NamedTuple

from tierstore.backends import Gap
from tierstore.backends.pairs import Changed
from tierstore.backends.redis.retry import Retry
from tierstore.backends.redis.route import Route
from tierstore.backends.redis.state.ends import Ends
from tierstore.backends.redis.state.pages import Keys
from tierstore.backends.redis.state.scripts import ENDS, Names
from tierstore.backends.redis.state.trailer import etag_of
from tierstore.backends.redis.state.travel import ask, of_state
from tierstore.errors import ClosedError, ConfigError, ConnectionError, StorageError, TimeoutError, raise_alone
from tierstore.runtime import Deadline, Runtime

log = logging.getLogger("tierstore")
BEGIN_S = 30.0
"""How long a feed that was lost may take to begin anew; most of it is the scan of the prefix."""
SCANNED_AT_ONCE = 1_000
ABSENT_MS = -2
UNREADABLE = "what is told of a change of state could not be read"


class Lapse(ConnectionError):
    """Changes were missed."""


class Ground(NamedTuple):
    """What a feed stands on. `most`: keys with an end that it holds at most."""

    runtime: Runtime
    route: Route
    names: Names
    keys: Keys
    most: int


class EndNow(NamedTuple):
    """When a key ends by the server, as a script of `ends` says, and the counter of its slot at that moment."""

    key: str
    ends_ms: int
    counter: int


class Watched:
    """Changes under one prefix that were heard and not told yet, and when its keys end."""

    def __init__(self, ground: Ground, prefix: str) -> None:
        self.prefix = prefix
        self.ends = Ends(ground.runtime.monotonic, ground.most)
        self._ground = ground
        self._begins = f"{ground.names.prefix}{prefix}"
        self._heard: list[Changed | Gap] = []

    def hear(self, change: bytes, position: str) -> None:
        """`kind|tag|end|key`, as the scripts tell it. Lapse for what no script of ours has written."""
        try:
            kind, tag, ends, name = change.split(b"|", 3)
            full, ends_ms = name.decode(), int(ends)
        except ValueError:
            raise_alone(Lapse(UNREADABLE, tier="state"))
        if not full.startswith(self._begins):
            return
        key, end = full.removeprefix(self._ground.names.prefix), ends_ms if ends_ms >= 0 else None
        self.ends.set(key, end)
        if kind == b"s":
            self._heard.append(Changed(key, "set", etag_of(tag), end, position))
        elif kind == b"d":
            self._heard.append(Changed(key, "delete", None, None, position))

    def gap(self, reason: str) -> None:
        self._heard.append(Gap(reason))

    def ended(self, key: str, ends_ms: int | None, position: str) -> None:
        """A key was asked for when it was due, and is not there. Told unless its end is another one by now."""
        if ends_ms is not None and self.ends.end_of(key) == ends_ms:
            self.ends.set(key, None)
            self._heard.append(Changed(key, "expire", None, ends_ms, position))

    def take(self) -> list[Changed | Gap]:
        heard, self._heard = self._heard, []
        return heard

    async def ask_ends(self, keys: Sequence[str], deadline: Deadline) -> list[EndNow]:
        """When keys end now."""
        names = self._ground.names
        full = [f"{names.prefix}{key}" for key in keys]
        groups = names.group(full)
        calls = [ENDS((names.counter(full[ats[0]]), *(full[at] for at in ats))) for ats in groups]
        found: list[EndNow] = []
        for ats, reply in zip(groups, await ask(self._ground.route, calls, deadline), strict=True):
            if isinstance(reply, StorageError):
                raise reply
            found += self.read_ends([keys[at] for at in ats], reply)
        return found

    async def learn_clock(self, deadline: Deadline) -> None:
        """What the server's clock shows, where there may be no key to ask for."""
        (reply,) = await ask(self._ground.route, [ENDS((self._ground.names.any,))], deadline)
        if isinstance(reply, StorageError):
            raise reply
        self.read_ends((), reply)

    def read_ends(self, keys: Sequence[str], reply: list[int | bytes]) -> list[EndNow]:
        """The answer of a script of `ends`."""
        now_ms, counter, *ends = reply
        self.ends.server_says(int(now_ms))
        return [EndNow(key, int(ends_ms), int(counter)) for key, ends_ms in zip(keys, ends, strict=True)]

    def note(self, found: Sequence[EndNow]) -> list[EndNow]:
        """Keep the ends of keys that are there, and give back the others."""
        for key, ends_ms, _ in found:
            if ends_ms != ABSENT_MS:
                self.ends.set(key, ends_ms if ends_ms >= 0 else None)
        return [one for one in found if one.ends_ms == ABSENT_MS]

    async def scan(self, deadline: Deadline) -> None:
        """Find out when the keys end that are there. ConfigError if there are too many."""
        self.ends.clear()
        await self.learn_clock(deadline)
        after: str | None = None
        while True:
            keys, after = await self._ground.keys.page(
                self.prefix, limit=SCANNED_AT_ONCE, after=after, deadline=deadline
            )
            if keys:
                self.note(await self.ask_ends(keys, deadline))
            if after is None:
                return


class WatchingFeed:
    """A `Feed`; a subclass connects, listens, and drops its connections."""

    def __init__(self, ground: Ground, prefix: str) -> None:
        self._ground = ground
        self._runtime = ground.runtime
        self._watched = Watched(ground, prefix)
        self._retry = Retry()
        self._connected = self.closed = False
        self._has_lapsed = False
        self._lost = ""

    async def begin(self, deadline: Deadline) -> None:
        """From here on every change is told."""
        try:
            await self._connect(deadline)
        except BaseException as error:
            self._drop()
            if isinstance(error, StorageError):
                raise_alone(of_state(error))
            raise
        self._connected = True

    async def receive(self, *, wait_s: float) -> list[Changed | Gap]:
        """Beginning anew after a loss, it may take longer than `wait_s`."""
        until = self._runtime.deadline(wait_s)
        while True:
            if self.closed:
                raise ClosedError("this feed of changes was closed: watch again", tier="state")
            try:
                await (self._listen(until) if self._connected else self._begin_again(until))
            except StorageError as error:
                self._lose(error)
                if isinstance(error, ConfigError):
                    raise
            heard = self._watched.take()
            if heard or until.remaining() <= 0:
                return heard

    async def _begin_again(self, until: Deadline) -> None:
        pause_s = self._retry.wait_s(self._runtime.monotonic())
        await self._runtime.sleep(min(until.remaining(), pause_s))
        if pause_s > 0 and until.remaining() <= 0:
            return
        nothing_missed = await self._connect(self._runtime.deadline(BEGIN_S))
        self._connected, self._has_lapsed = True, False
        self._retry.succeeded()
        if not nothing_missed:
            self._watched.gap(self._lost)

    def _lose(self, error: StorageError) -> None:
        """Told only when the feed has begun anew: then it is known what was missed, and nothing falls behind the telling."""
        if self._connected:
            self._lost = str(error)
            if not isinstance(error, (ConnectionError, TimeoutError)):
                log.warning("The feed of changes of state failed, and begins anew: %s", error)
        self._has_lapsed |= isinstance(error, (Lapse, ConfigError))
        self._connected = False
        self._retry.failed(self._runtime.monotonic())
        self._drop()

    async def close(self) -> None:
        self.closed = True
        self._drop()

    async def _connect(self, deadline: Deadline) -> bool:
        """Listen anew. Whether nothing was missed since the feed listened before: never if it `_has_lapsed`."""
        raise NotImplementedError

    async def _listen(self, until: Deadline) -> None:
        """Hear what comes by then. What it raises ends the connection."""
        raise NotImplementedError

    def _drop(self) -> None:
        """Close the connections."""
        raise NotImplementedError
