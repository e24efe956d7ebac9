"""Redis Cluster: 16,384 slots on several nodes, each asked in one round trip for the keys that it has.

The map of slots is read from any node, and again when a node answers MOVED or cannot be reached. A command that was answered MOVED,
ASK or TRYAGAIN was not executed, so that it may be sent again. A node that owns no slot any more was replaced: a new reign begins.
"""

from __future__ import annotations

import binascii
import hashlib
from collections import defaultdict
from collections.abc import Callable, Coroutine, Hashable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from tierstore.backends.redis.commands import Command, Plain
from tierstore.backends.redis.errors import refused_login, typed
from tierstore.backends.redis.link import Link, facts, open_link
from tierstore.backends.redis.node import CACHE, Duty, Node
from tierstore.backends.redis.route import DEFAULT_USER, Settings, account_of
from tierstore.backends.redis.wire import ReplyError, settings_of
from tierstore.errors import ConfigError, ConnectionError, StorageError
from tierstore.runtime import Deadline, Runtime

CLUSTER_SLOTS = 16_384
ROUNDS = 4
PAUSE_S = 0.005
REREAD_S = 1.0
WITNESSES = 2
"""How many nodes are asked who owns the slots. One of them is another one than a primary that does not know yet that it was replaced."""
Address = tuple[str, int]
Ranges = frozenset[tuple[int, int, Address]]
"""First and last slot, and who owns them."""
SLOTS = ("CLUSTER", "SLOTS")
ASKING = Plain("", ("ASKING",))


class _InFull(NamedTuple):
    """A command as for a server that does not know its script: said a second time, it would not be behind its ASKING."""

    command: Command

    @property
    def key(self) -> str:
        return self.command.key

    def packed(self, epoch: bytes) -> bytes:
        return self.command.whole(epoch)

    def whole(self, epoch: bytes) -> bytes:
        return self.command.whole(epoch)


def slot_of_tag(tag: str) -> int:
    """CRC16 (XMODEM) of what stands in braces."""
    return binascii.crc_hqx(tag.encode(), 0) % CLUSTER_SLOTS


_slot_of_tag = lru_cache(65_536)(slot_of_tag)


def cluster_slot(key: str) -> int:
    """Where Redis Cluster keeps a key: by what stands in its first braces, else by all of it."""
    start = key.find("{") + 1
    end = key.find("}", start) if start else -1
    return _slot_of_tag(key[start:end] if end > start else key)


class Cluster:
    """Nodes by address, and which of them has which slot."""

    single = False
    fails_over = True

    def __init__(self, runtime: Runtime, urls: Sequence[str], duty: Duty = CACHE) -> None:
        self._runtime = runtime
        self._duty = duty
        seeds = [settings_of(url) for url in urls]
        if not seeds:
            raise ConfigError("failed to create redis client: a cluster needs the address of at least one node")
        self._settings: Settings = dict(seeds[0])
        self._account = account_of(self._settings)._replace(db=0)
        self.account = self._account.username or DEFAULT_USER
        self._seeds = [(str(one.get("host", "localhost")), int(one.get("port", 6379))) for one in seeds]
        self._nodes: dict[Address, Node] = {}
        self._owners: list[Address] = []
        self._ranges: Ranges = frozenset()
        self.reign = self._asked = 0
        self._on_new_reign: Callable[[], None] | None = None
        self._stale = True
        self._read_at = 0.0
        self.layout = ""

    def _node(self, address: Address) -> Node:
        if (node := self._nodes.get(address)) is None:
            name = f"{address[0]}:{address[1]}"
            made = Node(self._runtime, name, self._opener(address), duty=self._duty, on_new_reign=self._begin)
            node = self._nodes.setdefault(address, made)  # another thread may have been first
        return node

    def _opener(self, address: Address) -> Callable[[Deadline], Coroutine[Any, Any, Link]]:
        settings, account = self._settings | {"host": address[0], "port": address[1]}, self._account

        async def open(deadline: Deadline) -> Link:
            link = await open_link(self._runtime, settings, deadline)
            await link.greet(account, deadline)
            return link

        return open

    def watch_reigns(self, began: Callable[[], None]) -> None:
        self._on_new_reign = began

    def _begin(self) -> None:
        self.reign += 1
        if self._on_new_reign is not None:
            self._on_new_reign()

    async def still_reigns(self, reign: int, deadline: Deadline) -> bool:
        """As some nodes know it, others each time."""
        for address in self._witnesses():
            node = self._node(address)
            _, (reply,) = await node.ask([Plain("", SLOTS)], deadline)
            if isinstance(reply, ReplyError):
                raise typed(reply)
            if _ranges(reply, address[0]) != self._ranges:
                self._stale = True
        await self._refresh(deadline)
        return reign == self.reign

    def _witnesses(self) -> list[Address]:
        well = [address for address in dict.fromkeys(self._owners) if not self._node(address).breaker.failing]
        self._asked += 1
        start = self._asked * WITNESSES
        return [well[at % len(well)] for at in range(start, start + min(WITNESSES, len(well)))]

    async def node(self, key: str, deadline: Deadline) -> Node:
        await self._refresh(deadline)
        return self._node(self._owner(key))

    def _owner(self, key: str) -> Address:
        return self._owners[cluster_slot(key)]

    async def nodes(self, deadline: Deadline) -> list[Node]:
        self._stale = True
        await self._refresh(deadline)
        return [self._node(address) for address in sorted(set(self._owners))]

    def place(self, key: str) -> Hashable:
        return self._owner(key) if self._owners else None

    async def slots(self, deadline: Deadline) -> Mapping[Node, Sequence[int]]:
        """Which slots each node has now."""
        await self.nodes(deadline)
        owned: dict[Node, list[int]] = defaultdict(list)
        for slot, address in enumerate(self._owners):
            owned[self._node(address)].append(slot)
        return owned

    async def ask(self, commands: Sequence[Command], deadline: Deadline) -> list[tuple[bytes, Any]]:
        answers: list[Any] = [None] * len(commands)
        todo = list(range(len(commands)))
        for round in range(ROUNDS):
            if round > 1:
                await self._runtime.sleep(PAUSE_S)  # a slot is on its way
            await self._refresh(deadline)
            groups: dict[Node, list[int]] = defaultdict(list)
            for at in todo:
                groups[self._node(self._owner(commands[at].key))].append(at)
            parts = sorted(groups.items(), key=_failing)  # one after the other in the blocking face: the healthy first
            await self._runtime.gather([self._part(node, ats, commands, answers, deadline) for node, ats in parts])
            todo = [at for at in todo if await self._again(commands[at], answers, at, deadline)]
            if not todo or deadline.remaining() < PAUSE_S:
                break
        return [(epoch, typed(reply) if isinstance(reply, ReplyError) else reply) for epoch, reply in answers]

    async def _part(
        self, node: Node, ats: list[int], commands: Sequence[Command], answers: list[Any], deadline: Deadline
    ) -> None:
        try:
            link, replies = await node.ask([commands[at] for at in ats], deadline)
        except StorageError as error:
            self._suspect()
            for at in ats:
                answers[at] = (b"", error)
            return
        for at, reply in zip(ats, replies, strict=True):
            answers[at] = (link.epoch, reply)

    def _suspect(self) -> None:
        """A node fails: its replica may have been promoted. The map is read again, but not for every call that fails."""
        self._stale = self._stale or self._runtime.monotonic() - self._read_at >= REREAD_S

    async def _again(self, command: Command, answers: list[Any], at: int, deadline: Deadline) -> bool:
        """Whether a command must be sent again; one whose slot is half moved is asked of the other node here."""
        reply = answers[at][1]
        if not isinstance(reply, ReplyError):
            return False
        if reply.code == "MOVED":
            _, slot, address = str(reply).split()
            self._owners[int(slot)] = _address(address, self._owners[int(slot)][0])
            self._stale = True
            return True
        if reply.code == "ASK":
            answers[at] = await self._asking(_address(str(reply).split()[2], ""), command, deadline)
            reply = answers[at][1]
        return isinstance(reply, ReplyError) and reply.code == "TRYAGAIN"

    async def _asking(self, address: Address, command: Command, deadline: Deadline) -> tuple[bytes, Any]:
        try:
            link, (_, reply) = await self._node(address).ask([ASKING, _InFull(command)], deadline)
        except StorageError as error:
            return b"", error
        return link.epoch, reply

    async def _refresh(self, deadline: Deadline) -> None:
        """Read the map of slots, if it is out of date, from the first node that gives it."""
        if not self._stale:
            return
        causes: list[str] = []
        error_class: type[StorageError] = ConnectionError
        self._read_at = self._runtime.monotonic()
        known = [address for address in dict.fromkeys(self._owners) if not self._node(address).breaker.is_open]
        addresses = list(dict.fromkeys([*known, *self._seeds]))
        for left, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
            try:
                await self._read_map(address, deadline.within(deadline.remaining() / left))
            except StorageError as error:
                causes.append(f"{address[0]}:{address[1]}: {error}")
                error_class = ConfigError if isinstance(error, ConfigError) else error_class
            else:
                return
        self._stale = False  # for a while: _suspect
        if not self._owners:
            self._stale = True
            raise error_class(f"no node of the Redis cluster gave the map of its slots: {'; '.join(causes)}", tier="l2")

    async def _read_map(self, address: Address, deadline: Deadline) -> None:
        link = await open_link(self._runtime, self._settings | {"host": address[0], "port": address[1]}, deadline)
        try:
            words = [*self._account.words(), ("INFO", "server"), SLOTS]
            payload = b"".join(Plain("", tuple(one)).packed(b"") for one in words)
            *login, info, reply = await link.exchange(payload, len(words), deadline)
        finally:
            link.close()
        for refused in (one for one in login if isinstance(one, ReplyError)):
            raise refused_login(refused)
        if isinstance(reply, ReplyError):
            raise (
                ConfigError("the Redis server is not part of a cluster; give its address as url")
                if _is_alone(info)
                else typed(reply)
            )
        owners: list[Address | None] = [None] * CLUSTER_SLOTS
        ranges = _ranges(reply, address[0])
        for first, last, owner in ranges:
            owners[first : last + 1] = [owner] * (last - first + 1)
        missing = owners.count(None)
        if missing:
            raise ConnectionError(f"the cluster does not serve {missing} of its {CLUSTER_SLOTS} slots")
        before = set(self._owners)
        self._owners, self._ranges = [owner for owner in owners if owner is not None], ranges
        self.layout = hashlib.sha256(repr(sorted(reply)).encode()).hexdigest()
        self._stale = False
        self._retire()
        if before - set(self._owners):
            self._begin()

    def _retire(self) -> None:
        for address in self._nodes.keys() - set(self._owners):
            node = self._nodes.pop(address)
            node.close()
            node.outage.ended()

    def known(self) -> list[Node]:
        return list(self._nodes.values())

    def close(self) -> None:
        for node in self._nodes.values():
            node.close()


def _is_alone(info: object) -> bool:
    """Whether a server says of itself that it belongs to no cluster."""
    known = facts(info) if isinstance(info, bytes) else {}
    return known.get("redis_mode", known.get("server_mode", "cluster")) != "cluster"


def _ranges(reply: Any, host: str) -> Ranges:
    """The answer to CLUSTER SLOTS of the node at `host`, which may give itself no name."""
    return frozenset(
        (first, last, (name.decode() if name else host, int(port))) for first, last, (name, port, *_), *_ in reply
    )


def _failing(part: tuple[Node, list[int]]) -> bool:
    return part[0].breaker.failing


def _address(text: str, default_host: str) -> Address:
    host, _, port = text.rpartition(":")
    return host or default_host, int(port)
