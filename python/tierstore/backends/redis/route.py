"""Which server has a key: one server, the primary that Sentinel names, or the nodes of a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from tierstore.backends.redis.commands import Command
from tierstore.backends.redis.errors import typed
from tierstore.backends.redis.link import Account, Link, open_link
from tierstore.backends.redis.node import CACHE, Duty, Node
from tierstore.backends.redis.wire import ReplyError, pack, settings_of
from tierstore.errors import ConfigError, ConnectionError, StorageError
from tierstore.runtime import Deadline, Runtime

Settings = dict[str, Any]


class Route(Protocol):
    single: bool
    """One server has every key: MGET takes them all at once."""
    layout: str
    """Changes when keys may have gone to another server of a cluster, as far as that is known."""

    async def node(self, key: str, deadline: Deadline) -> Node:
        """The server that has this key."""
        ...

    async def ask(self, commands: Sequence[Command], deadline: Deadline) -> list[tuple[bytes, Any]]:
        """Epoch and reply of each command; the reply is a StorageError where its server could not be asked, or refused."""
        ...

    async def nodes(self, deadline: Deadline) -> list[Node]:
        """Every server that has keys."""
        ...

    def known(self) -> list[Node]:
        """The servers that were asked already."""
        ...

    def close(self) -> None: ...


class SentinelAddress(Protocol):
    """Where the sentinels are, the name of what they watch, and the account at the Redis servers themselves."""

    @property
    def hosts(self) -> tuple[tuple[str, int], ...]: ...
    @property
    def service(self) -> str: ...
    @property
    def username(self) -> str | None: ...
    @property
    def password(self) -> str | None: ...
    @property
    def db(self) -> int: ...


def account_of(settings: Settings) -> Account:
    """Take the account out of the settings."""
    username, password, db = (
        settings.pop(name, default) for name, default in zip(Account._fields, (None, None, 0), strict=True)
    )
    settings.pop("client_name", None)
    return Account(username, password, int(db))


class OneServer:
    """A single server, by URL or by Sentinel."""

    single = True
    layout = ""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def node(self, key: str, deadline: Deadline) -> Node:
        return self._node

    async def ask(self, commands: Sequence[Command], deadline: Deadline) -> list[tuple[bytes, Any]]:
        link, replies = await self._node.ask(commands, deadline)
        return [(link.epoch, typed(reply) if isinstance(reply, ReplyError) else reply) for reply in replies]

    async def nodes(self, deadline: Deadline) -> list[Node]:
        return [self._node]

    def known(self) -> list[Node]:
        return [self._node]

    def close(self) -> None:
        self._node.close()


def by_url(runtime: Runtime, url: str, duty: Duty = CACHE) -> OneServer:
    settings = settings_of(url)
    account = account_of(settings)

    async def open(deadline: Deadline) -> Link:
        link = await open_link(runtime, settings, deadline)
        await link.greet(account, deadline)
        return link

    name = settings.get("path") or f"{settings.get('host', 'localhost')}:{settings.get('port', 6379)}"
    return OneServer(Node(runtime, name, open, duty=duty))


def by_sentinel(runtime: Runtime, address: SentinelAddress, duty: Duty = CACHE) -> OneServer:
    sentinels = Sentinels(runtime, address)
    return OneServer(Node(runtime, f"sentinel service {address.service}", sentinels.open, duty=duty))


class Sentinels:
    """Asks for the primary each time a link is made: a fail-over breaks the links, and the next ones go to the new primary."""

    def __init__(self, runtime: Runtime, address: SentinelAddress) -> None:
        self._runtime = runtime
        self._hosts = list(address.hosts)
        self._service = address.service
        self._account = Account(address.username, address.password, address.db)

    async def open(self, deadline: Deadline) -> Link:
        host, port = await self._primary(deadline)
        link = await open_link(self._runtime, {"host": host, "port": port}, deadline)
        await link.greet(self._account, deadline)
        return link

    async def _primary(self, deadline: Deadline) -> tuple[str, int]:
        causes: list[str] = []
        error_class: type[StorageError] = ConnectionError
        for left, (host, port) in zip(range(len(self._hosts), 0, -1), list(self._hosts), strict=True):
            try:
                found = await self._ask(host, port, deadline.within(deadline.remaining() / left))
            except StorageError as error:
                causes.append(f"{host}:{port}: {error}")
                error_class = ConfigError if isinstance(error, ConfigError) else error_class
                continue
            self._hosts.sort(key=lambda one: one != (host, port))  # the next link asks first who answered last
            return found
        raise error_class(f"no Sentinel knows a primary of {self._service!r}: {'; '.join(causes)}", tier="l2")

    async def _ask(self, host: str, port: int, deadline: Deadline) -> tuple[str, int]:
        link = await open_link(self._runtime, {"host": host, "port": port}, deadline)
        try:
            words = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._service)
            (reply,) = await link.exchange(pack(words), 1, deadline)
        finally:
            link.close()
        if isinstance(reply, ReplyError):
            raise typed(reply)
        if reply is None:
            raise ConfigError(f"does not know the service {self._service!r}")
        return reply[0].decode(), int(reply[1])
