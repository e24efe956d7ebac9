"""`Pairs` on Redis or Valkey: one server, the primary that Sentinel names, or a cluster; both faces.

A value is stored with its etag at its end (`trailer`). What changes a pair is a script, so that the change is told in the same step to
whoever watches. Here Redis is the truth: a call has all of its deadline, and what may have been executed is never sent again.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from tierstore.backends.pairs import KEEP_MS, Feed, Pair, PairCounts, Put
from tierstore.backends.redis.commands import Command, Plain, Script
from tierstore.backends.redis.diagnosis import missing_rights, unsafe_primaries
from tierstore.backends.redis.link import facts
from tierstore.backends.redis.route import Route
from tierstore.backends.redis.state.dangers import UNWATCHED, dangers, publishes_by_shard, version
from tierstore.backends.redis.state.pages import Keys
from tierstore.backends.redis.state.rights import of_state
from tierstore.backends.redis.state.scripts import LOOK, Names
from tierstore.backends.redis.state.shards import ShardFeed
from tierstore.backends.redis.state.stream import StreamFeed
from tierstore.backends.redis.state.trailer import ANY, Trailers, etag_of, expectation, pair_of, split
from tierstore.backends.redis.state.travel import Reads, Stored, all_nodes, ask, ask_node
from tierstore.backends.redis.state.watching import Ground, WatchingFeed
from tierstore.backends.redis.state.writes import ByScript, BySet
from tierstore.errors import ConfigError, ConnectionError, StorageError, UnsupportedError, raise_alone
from tierstore.runtime import Deadline, Job, Runtime

log = logging.getLogger("tierstore")
MAX_WATCHED = 1_000_000
PROBE_EVERY_S, PROBE_BUDGET_S = 1.0, 0.25
FAILED = "cannot open state on Redis: {}"


class RedisPairs:
    """`prefix`: what every name on the servers begins with. `cache_prefix`: that of the cache tier, if it is on the same servers."""

    name: Literal["redis"] = "redis"

    def __init__(
        self,
        runtime: Runtime,
        route: Route,
        *,
        prefix: str = "",
        cache_prefix: str | None = None,
        max_watched: int = MAX_WATCHED,
    ) -> None:
        self._runtime = runtime
        self._route = route
        self._prefix = prefix
        self._alone = cache_prefix is None
        self._names = Names(prefix, single=route.single)
        self._keys = Keys(route, prefix, cache_prefix)
        self._trailers = Trailers(runtime)
        self._reads = Reads(runtime, route, self._names)
        self._writes = ByScript(runtime, route, self._names)
        self._sets = BySet(self._writes, runtime, route, self._names) if route.single else self._writes
        self._ground = Ground(runtime, route, self._names, self._keys, max_watched)
        self._feeds: list[WatchingFeed] = []
        self._expired_before = 0

    async def open(self, deadline: Deadline) -> None:
        """ConfigError where it will not help to wait, else ConnectionError."""
        try:
            self._expired_before = sum(_expired(node) for node in await self._info("stats", deadline=deadline))
        except ConfigError as error:
            raise_alone(ConfigError(FAILED.format(error), tier="state"))
        except StorageError as error:
            raise_alone(ConnectionError(FAILED.format(error), tier="state"))
        with contextlib.suppress(StorageError):
            for text in await self._missing(deadline):
                log.warning("%s", text)

    async def _missing(self, deadline: Deadline) -> list[str]:
        trials = of_state(self._prefix, single=self._route.single)
        return await missing_rights(self._route, trials, self._prefix, deadline)

    # Reading

    async def get_many(self, keys: Sequence[str], *, deadline: Deadline) -> list[Pair | None]:
        if not keys:
            return []
        stored = await self._reads.get([self._prefix + key for key in keys], deadline)
        return [None if value is None else pair_of(value) for value in stored]

    async def look(self, key: str, *, deadline: Deadline) -> Pair | None:
        found = await self._look(key, "value", deadline)
        if found is None:
            return None
        _, ends_ms, stored = found
        return pair_of(stored, ends_ms if ends_ms >= 0 else None)

    async def left_ms(self, key: str, *, deadline: Deadline) -> int | None:
        found = await self._look(key, "", deadline)
        return None if found is None else max(KEEP_MS, found[0])

    async def _look(self, key: str, what: str, deadline: Deadline) -> Any:
        (found,) = await ask(self._route, [LOOK((self._prefix + key,), what)], deadline)
        if isinstance(found, StorageError):
            raise found
        return found

    # Changing

    async def put(self, put: Put, *, deadline: Deadline) -> str | None:
        trailer = self._trailers.next()
        stored = Stored(self._prefix + put.key, put, trailer)
        done = await (self._sets if stored.again else self._writes).store(stored, deadline)
        return etag_of(trailer) if done else None

    async def put_many(self, puts: Sequence[Put], *, deadline: Deadline) -> list[str]:
        """In one script a slot; on one server in one script."""
        trailers = [self._trailers.next() for _ in puts]
        stored = [Stored(self._prefix + put.key, put, trailer) for put, trailer in zip(puts, trailers, strict=True)]
        commands, _ = self._writes.puts(stored)
        if commands:
            await self._writes.change(commands, deadline, again=True)
        return [etag_of(trailer) for trailer in trailers]

    async def delete(self, key: str, *, expected: str | None = None, deadline: Deadline) -> bool | None:
        call = self._call(self._names.scripts.delete, key, expectation(expected))
        ((gone,),) = await self._writes.change([call], deadline, again=expected is None)
        return None if gone < 0 else gone == 1

    async def delete_many(self, keys: Sequence[str], *, deadline: Deadline) -> int:
        full = list(dict.fromkeys(self._prefix + key for key in keys))
        script = self._names.scripts.delete
        calls: list[Command] = [
            self._names.call(script, [full[at] for at in ats], ANY) for ats in self._names.group(full)
        ]
        return sum(map(sum, await self._writes.change(calls, deadline, again=True))) if calls else 0

    async def pop(self, key: str, *, deadline: Deadline) -> bytes | None:
        (value,) = await self._writes.change([self._call(self._names.scripts.pop, key)], deadline, again=False)
        return None if value is None else split(value)[0]

    async def expire(self, key: str, ttl_ms: int | None, *, deadline: Deadline) -> bool:
        if ttl_ms == KEEP_MS:
            return await self.left_ms(key, deadline=deadline) is not None
        call = self._call(self._names.scripts.expire, key, "" if ttl_ms is None else str(ttl_ms))
        (found,) = await self._writes.change([call], deadline, again=True)
        return bool(found == 1)

    async def increment(self, key: str, by: int, ttl_ms: int | None, *, deadline: Deadline) -> int | None:
        ttl = "" if ttl_ms is None or ttl_ms == KEEP_MS else str(ttl_ms)
        call = self._call(self._names.scripts.increment, key, str(by), ttl, self._trailers.next())
        (total,) = await self._writes.change([call], deadline, again=False)
        return None if total is None else int(total)

    def _call(self, script: Script, key: str, *arguments: str | bytes) -> Command:
        return self._names.call(script, [self._prefix + key], *arguments)

    # Many keys

    async def page(
        self, prefix: str, *, limit: int, after: str | None, deadline: Deadline
    ) -> tuple[list[str], str | None]:
        return await self._keys.page(prefix, limit=limit, after=after, deadline=deadline)

    async def delete_prefix(
        self, prefix: str, *, limit: int, after: str | None, deadline: Deadline
    ) -> tuple[int, str | None]:
        keys, behind = await self.page(prefix, limit=limit, after=after, deadline=deadline)
        return await self.delete_many(keys, deadline=deadline), behind

    async def watch(self, prefix: str, *, deadline: Deadline) -> Feed:
        """UnsupportedError on a cluster of Redis before version 7; ConfigError if more keys with an end are there than `max_watched`."""
        if not self._route.single:
            await self._check_publishing(deadline)
        feed: WatchingFeed = (StreamFeed if self._route.single else ShardFeed)(self._ground, prefix)
        await feed.begin(deadline)
        self._feeds = [*(other for other in self._feeds if not other.closed), feed]
        return feed

    async def _check_publishing(self, deadline: Deadline) -> None:
        for info in await self._info("server", deadline=deadline):
            if not publishes_by_shard(info):
                raise UnsupportedError(UNWATCHED.format(version(info)), tier="state")

    # What is known of the servers

    def jobs(self) -> Mapping[str, Job]:
        return {"look for servers that are back": self._probe}

    async def _probe(self) -> float:
        """While a breaker is open this makes the trial calls, so that no caller has to wait for one."""
        for node in self._route.known():
            if node.breaker.is_open:
                with contextlib.suppress(StorageError):
                    await node.ask([Plain("", ("PING",))], self._runtime.deadline(PROBE_BUDGET_S), probe=True)
        return PROBE_EVERY_S

    async def warnings(self, deadline: Deadline) -> Sequence[str]:
        try:
            infos = await self._info("server", "memory", "persistence", deadline=deadline)
            known = await self._missing(deadline) + await unsafe_primaries(self._route, deadline)
        except StorageError:
            return ()  # health says that it does not answer
        found = known + [warning for info in infos for warning in dangers(info)]
        if not self._route.single and not all(map(publishes_by_shard, infos)):
            found.append(UNWATCHED.format(version(infos[0])))
        return list(dict.fromkeys(found))

    async def counts(self, deadline: Deadline) -> PairCounts:
        """`keys`: on a server that has nothing but state."""
        infos = await self._info("stats", "memory", deadline=deadline)
        expired = max(0, sum(map(_expired, infos)) - self._expired_before)
        keys = await self._count(deadline) if self._alone and self._route.single and not self._prefix else None
        return PairCounts(keys, sum(int(info["used_memory"]) for info in infos), expired)

    async def _count(self, deadline: Deadline) -> int:
        names = self._names
        words = ("DBSIZE",), ("EXISTS", names.stream, names.mark)
        size, own = await ask(self._route, [Plain("", one) for one in words], deadline)
        for reply in (size, own):
            if isinstance(reply, StorageError):
                raise reply
        return int(size) - int(own)

    async def ping(self, deadline: Deadline) -> str:
        return version((await self._info("server", deadline=deadline))[0])

    async def _info(self, *sections: str, deadline: Deadline) -> list[dict[str, str]]:
        """What each server says of itself."""
        found = []
        for node in await all_nodes(self._route, deadline):
            _, replies = await ask_node(node, [Plain("", ("INFO", one)) for one in sections], deadline, probe=True)
            found.append({name: value for reply in replies for name, value in facts(reply).items()})
        return found

    async def close(self, deadline: Deadline) -> None:
        for feed in self._feeds:
            await feed.close()
        self._route.close()


def _expired(info: Mapping[str, str]) -> int:
    return int(info.get("expired_keys", 0))
