"""The shared cache tier on Redis or Valkey: rule 3 of the coherence protocol, by the scripts in `lua/`.

A stored value is epoch (8 bytes) | version (8, big-endian) | revision (2, big-endian) | the caller's bytes. The epoch is that of the
server's run (`redis_link.py`): a value that another run left behind is a miss.

Budgets: what a reader waits for (`get_many`, `lease_many`) takes `soft_timeout_s` at most, everything else `hard_timeout_s`, both
within the caller's deadline. Nothing that was sent is sent again, except to another node of a cluster that did not execute it.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import Callable, Sequence
from typing import Any

from tierstore.backends import Change, Fill, Lease, Seen
from tierstore.backends.redis.cluster import Cluster, cluster_slot
from tierstore.backends.redis.commands import FILL, INVALIDATE, LEASE, RELEASE, Call, Command, Plain
from tierstore.backends.redis.diagnosis import missing_rights, of_the_cache, unsafe_primaries
from tierstore.backends.redis.errors import typed
from tierstore.backends.redis.link import EPOCH_BYTES
from tierstore.backends.redis.node import CACHE, Duty
from tierstore.backends.redis.route import Route, SentinelAddress, by_url
from tierstore.backends.redis.sentinel import ServerBySentinel
from tierstore.backends.redis.wire import ReplyError
from tierstore.errors import ConfigError, ConnectionError, StorageError, raise_alone
from tierstore.plan.keys import FAMILY, floor_key, hand_over_key, lease_key
from tierstore.runtime import Deadline, Runtime

log = logging.getLogger("tierstore")
SOFT_TIMEOUT_S, HARD_TIMEOUT_S = 0.05, 0.25
HEADER_BYTES = EPOCH_BYTES + 10
HELD, SEEDING = 1, 2
PROBE_EVERY_S = 1.0
SLOTS_A_CALL = 256
"""A script that invalidates holds the server up for about a microsecond a slot. In a cluster it may touch one slot only."""
UNSEEN = Seen(b"", b"")
PING = ("PING",)
FAILED = "failed to create redis client: {}"


def route(
    runtime: Runtime,
    *,
    url: str | None = None,
    sentinel: SentinelAddress | None = None,
    cluster: Sequence[str] | None = None,
    duty: Duty = CACHE,
) -> Route:
    """How the servers are found: exactly one of the three. Nothing is connected yet. ConfigError."""
    if url:
        return by_url(runtime, url, duty)
    if sentinel:
        return ServerBySentinel(runtime, sentinel, duty)
    if cluster:
        return Cluster(runtime, cluster, duty)
    raise ConfigError(FAILED.format("no url, sentinel or cluster was given"))


class RedisKeyValue:
    """`KeyValue` on the servers of a route, in either face. Raises StorageError only; what is raised is never a wrong value."""

    def __init__(
        self,
        runtime: Runtime,
        route: Route,
        *,
        prefix: str = "",
        soft_timeout_s: float = SOFT_TIMEOUT_S,
        hard_timeout_s: float = HARD_TIMEOUT_S,
    ) -> None:
        """`prefix`: what all names begin with, to tell which rights the account needs."""
        self._prefix = prefix
        self._runtime = runtime
        self._route = route
        self._soft_s = soft_timeout_s
        self._hard_s = hard_timeout_s
        self._absent = False

    @property
    def reign(self) -> int:
        return self._route.reign

    async def still_reigns(self, reign: int, *, deadline: Deadline) -> bool:
        return await self._route.still_reigns(reign, deadline.within(self._hard_s))

    def watch_reigns(self, began: Callable[[], None]) -> None:
        self._route.watch_reigns(began)

    async def open(self, deadline: Deadline) -> None:
        """Connect, with all of the deadline. ConfigError where it will not help to wait, else ConnectionError; then `probe` connects."""
        try:
            await self._reach(deadline)
        except ConfigError as error:
            raise_alone(ConfigError(FAILED.format(error), tier="l2"))
        except StorageError as error:
            self._absent = True
            raise_alone(ConnectionError(FAILED.format(error), tier="l2"))

    async def _reach(self, deadline: Deadline) -> None:
        for node in await self._route.nodes(deadline):
            _, (reply,) = await node.ask([Plain("", PING)], deadline, probe=True)
            if isinstance(reply, ReplyError):
                raise typed(reply)
        with contextlib.suppress(StorageError):
            for text in await self._missing(deadline):
                log.warning("%s", text)

    async def _missing(self, deadline: Deadline) -> list[str]:
        return await missing_rights(self._route, of_the_cache(self._prefix), self._prefix or FAMILY, deadline)

    async def warnings(self, deadline: Deadline) -> list[str]:
        deadline = deadline.within(self._hard_s)
        return await self._missing(deadline) + await unsafe_primaries(self._route, deadline)

    async def get_many(self, keys: Sequence[str], *, deadline: Deadline) -> list[bytes | None]:
        if not keys:
            return []
        deadline = deadline.within(self._soft_s)
        if not self._route.single:
            return await self._get_by_slot(keys, deadline)
        node = await self._route.node(keys[0], deadline)
        link, (values,) = await node.ask([Plain(keys[0], ("MGET", *keys))], deadline)
        if isinstance(values, ReplyError):
            raise typed(values)
        epoch = link.epoch
        return [value[HEADER_BYTES:] if value is not None and value.startswith(epoch) else None for value in values]

    async def _get_by_slot(self, keys: Sequence[str], deadline: Deadline) -> list[bytes | None]:
        """In a cluster: the keys of a node that cannot be asked are misses, unless that is all of them."""
        groups: dict[int, list[int]] = {}
        for at, key in enumerate(keys):
            groups.setdefault(cluster_slot(key), []).append(at)
        commands = [Plain(keys[ats[0]], ("MGET", *(keys[at] for at in ats))) for ats in groups.values()]
        answers = _unless_all_failed(await self._route.ask(commands, deadline))
        found: list[bytes | None] = [None] * len(keys)
        for ats, (epoch, values) in zip(groups.values(), answers, strict=True):
            if isinstance(values, StorageError):
                continue
            for at, value in zip(ats, values, strict=True):
                if value is not None and value.startswith(epoch):
                    found[at] = value[HEADER_BYTES:]
        return found

    async def lease_many(
        self,
        keys: Sequence[str],
        *,
        token: bytes,
        lease_ms: int,
        deadline: Deadline,
        trusted: bool = True,
        seen: Sequence[Seen | None] | None = None,
    ) -> list[Lease]:
        arguments, shown = (token, str(lease_ms), str(int(trusted))), seen or [None] * len(keys)
        calls = [LEASE(_keys_of(key), *arguments, *(one or UNSEEN)) for key, one in zip(keys, shown, strict=True)]
        answers = await self._ask(calls, deadline.within(self._soft_s))
        return [_lease(reply) for _, reply in _unless_all_failed(answers)]

    async def fill_many(self, fills: Sequence[Fill], *, deadline: Deadline) -> list[bool]:
        answers = await self._ask([_Filling(fill) for fill in fills], deadline.within(self._hard_s))
        return [reply == 1 for _, reply in _unless_all_failed(answers)]

    async def release_many(self, keys: Sequence[str], *, token: bytes, deadline: Deadline) -> None:
        calls = [RELEASE((lease_key(key),), token) for key in keys]
        _unless_all_failed(await self._ask(calls, deadline.within(self._hard_s)))

    async def invalidate(self, changes: Sequence[Change], *, floor: int, deadline: Deadline) -> None:
        slots: dict[str, list[str]] = {}
        for change in changes:
            slots.setdefault(floor_key(change.key), []).extend((change.key, lease_key(change.key)))
        together, raised = SLOTS_A_CALL if self._route.single else 1, _digits(floor)
        floors = list(slots)
        calls = []
        for start in range(0, len(floors), together):
            some = floors[start : start + together]
            names = [name for slot in some for name in slots[slot]]
            calls.append(INVALIDATE([*some, *names], raised, str(len(some))))
        for _, reply in await self._ask(calls, deadline.within(self._hard_s)):
            if isinstance(reply, StorageError):
                raise reply

    async def _ask(self, calls: Sequence[Command], deadline: Deadline) -> list[tuple[bytes, Any]]:
        return await self._route.ask(calls, deadline) if calls else []

    async def identity(self, deadline: Deadline) -> str:
        """Of the server's run as a primary; of a cluster a hash over all of its primaries."""
        found = []
        for node in await self._route.nodes(deadline.within(self._hard_s)):
            link, _ = await node.ask([Plain("", PING)], deadline.within(self._hard_s), probe=True)
            found.append(link.identity)
        return found[0] if len(found) == 1 else hashlib.sha256(" ".join(sorted(found)).encode()).hexdigest()[:40]

    async def ping(self, deadline: Deadline) -> str:
        version = ""
        for node in await self._route.nodes(deadline.within(self._hard_s)):
            link, (reply,) = await node.ask([Plain("", PING)], deadline.within(self._hard_s), probe=True)
            if isinstance(reply, ReplyError):
                raise typed(reply)
            version = link.version
        return version

    async def probe(self) -> float:
        """A background job: while a breaker is open it makes the trial calls, so that no user's call has to wait for one."""
        if self._absent:
            with contextlib.suppress(StorageError):
                await self._reach(self._runtime.deadline(self._hard_s))
                self._absent = False
                self._runtime.outages.ended("Redis")
        for node in self._route.known():
            if node.breaker.is_open:
                with contextlib.suppress(StorageError):
                    await node.ask([Plain("", PING)], self._runtime.deadline(self._hard_s), probe=True)
        return PROBE_EVERY_S

    async def close(self, deadline: Deadline) -> None:
        """Close the connections of the route, which the channel shares."""
        self._route.close()


class _Filling:
    """A fill: its value begins with the epoch of the server that gets it."""

    def __init__(self, fill: Fill) -> None:
        self.key = fill.key
        self._fill = fill

    def _call(self, epoch: bytes) -> Call:
        fill = self._fill
        head = epoch + fill.version.to_bytes(8, "big") + fill.revision.to_bytes(2, "big")
        numbers = _digits(fill.as_of), _digits(max(0, fill.ceiling - 1))
        lives = str(fill.ttl_ms), str(fill.hand_over_ms)
        return FILL(_keys_of(fill.key), fill.token, str(int(fill.seeding)), *numbers, head + fill.value, *lives)

    def packed(self, epoch: bytes) -> bytes:
        return self._call(epoch).packed(epoch)

    def whole(self, epoch: bytes) -> bytes:
        return self._call(epoch).whole(epoch)


def _digits(number: int) -> str:
    return f"{number:020d}"


def _keys_of(key: str) -> tuple[str, ...]:
    """All that belongs to a value, its slot's floor included."""
    return key, lease_key(key), floor_key(key), hand_over_key(key)


def _lease(reply: Any) -> Lease:
    """A node of a cluster that cannot be asked holds nothing up: the caller loads, and nothing will accept its fill."""
    if isinstance(reply, bytes):
        return Lease(reply[HEADER_BYTES:], held=False, seeding=False)
    if isinstance(reply, list):
        if len(reply) == 1:
            return Lease(reply[0], held=False, seeding=False, handed_over=True)
        return Lease(None, held=False, seeding=False, seen=Seen(*reply))
    failed = isinstance(reply, StorageError)
    return Lease(None, held=failed or reply in (HELD, SEEDING), seeding=reply == SEEDING)


def _unless_all_failed(answers: list[tuple[bytes, Any]]) -> list[tuple[bytes, Any]]:
    errors = [reply for _, reply in answers if isinstance(reply, StorageError)]
    if errors and len(errors) == len(answers):
        raise errors[0]
    return answers
