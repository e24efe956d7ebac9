"""One server: its links, at most `limit` of them, handed out one call at a time, and a breaker.

A node is a place: another server may take it over, by a fail-over or a restart. Its links compare who answered their handshakes. With
the first that finds another server a new reign begins: all links of the one before are dropped at once, and what they still bring is
refused, since a primary that stalled and came back takes commands for some time after it was replaced.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, NamedTuple

from tierstore.backends.redis.breaker import Breaker
from tierstore.backends.redis.commands import Command
from tierstore.backends.redis.errors import mark_sent, must_reconnect
from tierstore.backends.redis.link import Link
from tierstore.backends.redis.wire import ReplyError
from tierstore.errors import ClosedError, ConnectionError, PoolTimeoutError, StorageError, TimeoutError, raise_alone
from tierstore.runtime import Deadline, Runtime, Waiter
from tierstore.runtime.outages import Component, Report

Open = Callable[[Deadline], Coroutine[Any, Any, Link]]
LIMIT = 16
LINK_LIFE_S = 300.0
"""A primary whose last replica has long left changes its replication id; after this long all links agree on the epoch again."""
_leaked: list[Link] = []
"""Links of a parent process: closing them here would end the parent's TLS session."""


class Duty(NamedTuple):
    """What servers are for. `component`: as an outage is reported; `fair_s`: a call that was given less and ran out of it says nothing of
    the server."""

    component: Component
    fair_s: float


CACHE, STATE = Duty("Redis", 0.0), Duty("state server", 1.0)


def _nobody() -> None:
    return None


class _Permit:
    """The right to one of a node's links. One that is lost, because its caller was interrupted, is given back."""

    __slots__ = ("counted", "lost")

    def __init__(self, lost: list[None]) -> None:
        self.counted = False
        self.lost = lost

    def __del__(self) -> None:
        if getattr(self, "counted", False):  # it may have been interrupted before it had any
            self.lost.append(None)  # no more here: any thread may be in the middle of anything


class _Turn:
    """A caller that waits for a link."""

    def __init__(self, waiter: Waiter[None], permit: _Permit) -> None:
        self.waiter = waiter
        self.permit = permit
        self.granted = False


class Node:
    """Asks one server. ConnectionError and TimeoutError count against its breaker, answers of any kind do not."""

    def __init__(
        self,
        runtime: Runtime,
        name: str,
        open: Open,
        *,
        limit: int = LIMIT,
        duty: Duty = CACHE,
        outage: Report | None = None,
        on_new_reign: Callable[[], None] = _nobody,
    ) -> None:
        """`outage`: where it reports that it does not answer. `on_new_reign`: called before another server's first answer is given out."""
        self.name = name
        self._runtime = runtime
        self._fair_s = duty.fair_s
        self.outage = outage or runtime.outages.of(duty.component, name)
        self.breaker = self._new_breaker()
        self._open = open
        self._limit = limit
        self._on_new_reign = on_new_reign
        self._epoch = b""
        self.reign = 0
        self._lock = threading.Lock()
        self._idle: list[Link] = []
        self._turns: deque[_Turn] = deque()
        self._used = 0
        self._lost: list[None] = []
        self._pid = os.getpid()
        self._closed = False

    def _new_breaker(self) -> Breaker:
        return Breaker(f"Redis at {self.name}", self._runtime.monotonic, self.outage)

    async def ask(
        self, commands: Sequence[Command], deadline: Deadline, *, probe: bool = False
    ) -> tuple[Link, list[Any]]:
        """Run commands in one round trip: their replies, and the link that answered. A second one where scripts are new to the server."""
        link, replies = await self._exchange(commands, deadline, probe=probe)
        unknown = [at for at, reply in enumerate(replies) if isinstance(reply, ReplyError) and reply.code == "NOSCRIPT"]
        if unknown:
            link, again = await self._exchange([commands[at] for at in unknown], deadline, probe=probe, whole=True)
            for at, reply in zip(unknown, again, strict=True):
                replies[at] = reply
        return link, replies

    async def _exchange(
        self, commands: Sequence[Command], deadline: Deadline, *, probe: bool, whole: bool = False
    ) -> tuple[Link, list[Any]]:
        async def say(link: Link) -> list[Any]:
            epoch = link.epoch
            words = [command.whole(epoch) if whole else command.packed(epoch) for command in commands]
            return await link.exchange(words[0] if len(words) == 1 else b"".join(words), len(words), deadline)

        return await self.talk(say, deadline, probe=probe)

    async def talk(
        self, say: Callable[[Link], Awaitable[list[Any]]], deadline: Deadline, *, probe: bool = False
    ) -> tuple[Link, list[Any]]:
        """Run an exchange on one of the links, which nobody else has meanwhile: the link and the replies."""
        if self._pid != os.getpid():
            self._start_anew()
        self.breaker.enter(probe=probe)
        deadline.check(f"asking Redis at {self.name}")
        permit = _Permit(self._lost)
        link = await self._acquire(permit, deadline)
        given_s = deadline.remaining()
        try:
            replies = await say(link)
        except (ConnectionError, TimeoutError) as error:
            mark_sent(error)
            self._failed(error, given_s)
            raise
        finally:
            self._release(link, permit)
        if any(map(must_reconnect, replies)):
            self.forget()
            return link, replies
        if link.reign != self.reign:
            replaced = ConnectionError(f"Redis at {self.name} was replaced by another server meanwhile", tier="l2")
            mark_sent(replaced)
            raise replaced
        self.breaker.succeeded()
        return link, replies

    async def _acquire(self, permit: _Permit, deadline: Deadline) -> Link:
        turn = None
        with self._lock:
            if self._closed:
                raise ClosedError("the Redis client was closed; open the store again")
            if self._used >= self._limit:
                self._recover()
            if self._used < self._limit:
                self._used += 1
                permit.counted = True
            else:
                turn = _Turn(self._runtime.waiter(), permit)
                self._turns.append(turn)
        if turn is not None:
            await self._wait(turn, deadline)
        try:
            while (link := self._take()) is not None:
                if link.idle() and self._runtime.monotonic() < link.until:
                    return link
                link.close()
            return await self._connect(deadline)
        except BaseException:
            self._pass_on(permit)
            raise

    def _recover(self) -> None:
        """Count the permits that were lost as free."""
        while self._lost:
            self._lost.pop()
            self._used -= 1

    def _take(self) -> Link | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    async def _connect(self, deadline: Deadline) -> Link:
        reign = self.reign
        given_s = deadline.remaining()
        try:
            link = await self._open(deadline)
        except StorageError as error:
            self._failed(error, given_s)
            raise
        link.until, link.reign = self._runtime.monotonic() + LINK_LIFE_S, reign
        self._recognise(link)
        return link

    def _recognise(self, link: Link) -> None:
        """Who answered the handshake: the server that is known, or another one, whose reign begins."""
        with self._lock:
            self._epoch = self._epoch or link.epoch
            is_known = self._epoch == link.epoch
        if not is_known:
            link.reign = self._begin(link.epoch)

    def _begin(self, epoch: bytes) -> int:
        """The reign of the server with this epoch; if it is empty, of the one that answers next."""
        self._on_new_reign()  # first: nobody gets an answer of another server before it
        return self._drop(epoch)

    def _drop(self, epoch: bytes) -> int:
        with self._lock:
            self.reign += 1
            reign, self._epoch = self.reign, epoch
            links, self._idle = self._idle, []
        for link in links:
            link.close()
        return reign

    def _failed(self, error: StorageError, given_s: float) -> None:
        if given_s >= self._fair_s or not isinstance(error, TimeoutError):
            self.breaker.failed(error)

    async def open_own(self, deadline: Deadline) -> Link:
        """A link beside the pool, for a subscription. The caller closes it."""
        self.breaker.enter(probe=True)
        link = await self._connect(deadline)
        self.breaker.succeeded()
        return link

    async def _wait(self, turn: _Turn, deadline: Deadline) -> None:
        try:
            await turn.waiter.wait(deadline)
        except BaseException as error:
            with self._lock:
                granted = turn.granted
                if not granted:
                    self._turns.remove(turn)
            if granted:
                self._pass_on(turn.permit)
            if isinstance(error, TimeoutError):
                raise_alone(
                    PoolTimeoutError(
                        f"no connection to Redis at {self.name} became free before the deadline; give the call a longer timeout=",
                        tier="l2",
                    )
                )
            raise

    def _release(self, link: Link, permit: _Permit) -> None:
        with self._lock:
            keep = not (link.closed or self._closed) and link.reign == self.reign
            if keep:
                self._idle.append(link)
        if not keep:
            link.close()
        self._pass_on(permit)

    def _pass_on(self, permit: _Permit) -> None:
        """A permit is free: to the caller who waited longest, or back."""
        with self._lock:
            turn = self._turns.popleft() if self._turns else None
            permit.counted = False
            if turn is None:
                self._used -= 1
                return
            turn.permit.counted = turn.granted = True
        turn.waiter.resolve(None)

    def forget(self) -> None:
        """Make all connections anew: the server behind them has changed its part, or was replaced."""
        self._begin(b"")

    def _start_anew(self) -> None:
        """In a forked child, where a thread that is not there any more may have held a lock."""
        _leaked.extend(self._idle)
        self._lock = threading.Lock()
        self.breaker = self._new_breaker()
        self._idle, self._turns, self._used, self._lost = [], deque(), 0, []
        self._pid = os.getpid()

    def close(self) -> None:
        with self._lock:
            self._closed = True
        self._drop(b"")
