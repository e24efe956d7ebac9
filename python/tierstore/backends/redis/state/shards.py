"""Changes in a cluster: each slot counts its changes, and publishes them with their numbers on a channel of its own (Redis 7).

A watcher subscribes to the channels of all slots at the nodes that own them, then reads the counters, so that whatever is lost from then
on is noticed: by the next number, or by the counters, which it reads again every CHECK_S. A hole, a broken connection, a slot that has
moved or a counter that fell is a lapse, and then it begins anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

from tierstore.backends.redis.cluster import CLUSTER_SLOTS, Cluster, cluster_slot
from tierstore.backends.redis.errors import typed
from tierstore.backends.redis.link import Link, until_pushed
from tierstore.backends.redis.node import Node
from tierstore.backends.redis.state.watching import UNREADABLE, EndNow, Ground, Lapse, WatchingFeed
from tierstore.backends.redis.wire import ReplyError, pack
from tierstore.errors import ConnectionError, QueryError, TimeoutError, raise_alone
from tierstore.runtime import Deadline

CHECK_S = 5.0
CHECK_BUDGET_S = 2.0
DUE_AT_ONCE = 1_000


class _Packed(NamedTuple):
    """A command that is sent again and again."""

    key: str
    words: bytes

    def packed(self, epoch: bytes) -> bytes:
        return self.words

    def whole(self, epoch: bytes) -> bytes:
        return self.words


class _Shard:
    """One node's slots and the link on which it publishes. `expected`: what was counted when the PING that is under way was sent."""

    def __init__(self, node: Node, link: Link, slots: Sequence[int], counters: Sequence[str]) -> None:
        self.node = node
        self.link = link
        self.slots = slots
        self.counters = [_Packed(counters[slot], pack(("GET", counters[slot]))) for slot in slots]
        self.expected: list[int] | None = None


class ShardFeed(WatchingFeed):
    """A `Feed` over one link a node."""

    def __init__(self, ground: Ground, prefix: str) -> None:
        super().__init__(ground, prefix)
        self._slot_of = {name.encode(): slot for slot, name in enumerate(ground.names.counters)}
        self._shards: list[_Shard] = []
        self._seen = [0] * CLUSTER_SLOTS
        self._gone: list[tuple[EndNow, int | None]] = []
        self._check_at = 0.0

    async def _connect(self, deadline: Deadline) -> bool:
        cluster = cast(Cluster, self._ground.route)
        counters = self._ground.names.counters
        for node, slots in (await cluster.slots(deadline)).items():
            shard = _Shard(node, await node.open_own(deadline), slots, counters)
            self._shards.append(shard)
            await self._subscribe(shard, deadline)
        for shard in self._shards:
            for slot, number in zip(shard.slots, await self._count(shard, deadline), strict=True):
                self._seen[slot] = number
        self._gone = []
        self._check_at = self._runtime.monotonic() + CHECK_S
        await self._watched.scan(deadline)
        return False

    async def _subscribe(self, shard: _Shard, deadline: Deadline) -> None:
        channels = [self._ground.names.counters[slot] for slot in shard.slots]
        await shard.link.send(b"".join(pack(("SSUBSCRIBE", channel)) for channel in channels), deadline)
        left = len(channels)
        while left:
            replies = await shard.link.pushed(deadline)
            if not replies:
                raise TimeoutError("Redis did not confirm in time that changes are watched", tier="state")
            for reply in replies:
                if isinstance(reply, ReplyError):
                    raise typed(reply)
                left -= reply[0] == b"ssubscribe"

    async def _count(self, shard: _Shard, deadline: Deadline) -> list[int]:
        """The counters of a node's slots. ConnectionError where it does not own them all any more, or is another server by now."""
        link, replies = await shard.node.ask(shard.counters, deadline)
        if link.identity != shard.link.identity:
            raise ConnectionError("a node of the Redis cluster has changed its part", tier="state")
        return [_number(reply) for reply in replies]

    async def _listen(self, until: Deadline) -> None:
        now = self._runtime.monotonic()
        if now >= self._check_at:
            await self._check()
            now = self._runtime.monotonic()
        if due := self._watched.ends.due(DUE_AT_ONCE):
            await self._ask(due)
        wait_s = min(self._check_at - now, self._watched.ends.wait_ms() / 1000)
        await until_pushed([shard.link for shard in self._shards], until.within(max(0.0, wait_s)))
        at_once = self._runtime.deadline(0)
        for shard in self._shards:
            for reply in await shard.link.pushed(at_once):
                self._hear(shard, reply)
        self._tell_gone()

    def _hear(self, shard: _Shard, reply: Any) -> None:
        if isinstance(reply, ReplyError):
            raise typed(reply)
        if reply[0] == b"smessage":
            self._heard(self._slot_of[reply[1]], reply[2])
        elif reply[0] == b"pong":
            self._confirmed(shard)
        elif reply[0] == b"sunsubscribe":
            raise Lapse("a slot of the Redis cluster has moved to another node", tier="state")

    def _heard(self, slot: int, message: bytes) -> None:
        try:
            numbers = message.split(b"|", 2)
            before, at, change = int(numbers[0]), int(numbers[1]), numbers[2]
        except (ValueError, IndexError):
            raise_alone(Lapse(UNREADABLE, tier="state"))
        if at <= self._seen[slot]:  # it was under way when the counters were read
            return
        if before != self._seen[slot]:
            raise Lapse(f"change {at} of slot {slot} came, and change {before} before it did not", tier="state")
        self._seen[slot] = at
        self._watched.hear(change, f"{slot}:{at}")

    async def _check(self) -> None:
        """Read the counters, and ask the subscription for a sign of life: what was counted must have come before it."""
        deadline = self._runtime.deadline(CHECK_BUDGET_S)
        for shard in self._shards:
            if shard.expected is not None:
                raise ConnectionError("the connection on which changes of state come is silent", tier="state")
            before = [self._seen[slot] for slot in shard.slots]
            counted = await self._count(shard, deadline)
            if any(now < seen for now, seen in zip(counted, before, strict=True)):
                raise Lapse("a counter of changes fell", tier="state")
            shard.expected = counted
            await shard.link.send(pack(("PING",)), deadline)
        await self._watched.learn_clock(deadline)
        self._check_at = self._runtime.monotonic() + CHECK_S

    def _confirmed(self, shard: _Shard) -> None:
        expected, shard.expected = shard.expected, None
        if expected is not None and any(
            self._seen[slot] < number for slot, number in zip(shard.slots, expected, strict=True)
        ):
            raise Lapse("changes were counted that did not come", tier="state")

    async def _ask(self, due: list[str]) -> None:
        ends = {key: self._watched.ends.end_of(key) for key in due}
        gone = self._watched.note(await self._watched.ask_ends(due, self._runtime.deadline(CHECK_BUDGET_S)))
        self._gone += [(one, ends[one.key]) for one in gone]

    def _tell_gone(self) -> None:
        """Tell of keys that have ended, once all has come that their slots had counted when they were asked for."""
        waiting = []
        for one, ends_ms in self._gone:
            slot = cluster_slot(f"{self._ground.names.prefix}{one.key}")
            if self._seen[slot] < one.counter:
                waiting.append((one, ends_ms))
            else:
                self._watched.ended(one.key, ends_ms, f"{slot}:{self._seen[slot]}")
        self._gone = waiting

    def _drop(self) -> None:
        for shard in self._shards:
            shard.link.close()
        self._shards = []


def _number(reply: Any) -> int:
    if isinstance(reply, ReplyError):
        raise typed(reply)
    try:
        return int(reply or 0)
    except ValueError:
        raise_alone(QueryError("a counter of changes of state holds something else", tier="state"))
