"""Which server has a key: one server, the primary that Sentinel names, or the nodes of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Protocol

from tierstore.backends.redis.commands import Command
from tierstore.backends.redis.errors import typed
from tierstore.backends.redis.link import Account, Link, open_link
from tierstore.backends.redis.node import CACHE, Duty, Node, Open
from tierstore.backends.redis.wire import ReplyError, settings_of
from tierstore.runtime import Deadline, Runtime

Settings = dict[str, Any]
DEFAULT_USER = "default"


class Route(Protocol):
    single: bool
    """One server has every key: MGET takes them all at once."""
    layout: str
    """Changes when keys may have gone to another server of a cluster, as far as that is known."""
    fails_over: bool
    """Somebody replaces a primary that does not answer."""
    account: str
    """The user name at the servers."""

    @property
    def reign(self) -> int:
        """Rises when another server takes over from one that was asked."""
        ...

    async def still_reigns(self, reign: int, deadline: Deadline) -> bool:
        """Whether nobody has taken over since that reign, as those know who decide it. ConnectionError if none of them answers.

        The server itself is the last to know: a primary that stalled and came back takes commands although it was replaced.
        """
        ...

    def watch_reigns(self, began: Callable[[], None]) -> None:
        """Call `began` before another server's first answer is given out, in whatever thread finds it."""
        ...

    async def node(self, key: str, deadline: Deadline) -> Node:
        """The server that has this key."""
        ...

    async def ask(self, commands: Sequence[Command], deadline: Deadline) -> list[tuple[bytes, Any]]:
        """Epoch and reply of each command; the reply is a StorageError where its server could not be asked, or refused."""
        ...

    async def nodes(self, deadline: Deadline) -> list[Node]:
        """Every server that has keys."""
        ...

    def place(self, key: str) -> Hashable:
        """Of which server the key probably is; None: not known."""
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
    @property
    def sentinel_username(self) -> str | None: ...
    @property
    def sentinel_password(self) -> str | None: ...
    @property
    def server_options(self) -> Mapping[str, Any]:
        """Options of redis-py for links to the servers: those of TLS."""
        ...

    @property
    def sentinel_options(self) -> Mapping[str, Any]:
        """The same for links to the sentinels."""
        ...


def account_of(settings: Settings) -> Account:
    """Take the account out of the settings."""
    username, password, db = (
        settings.pop(name, default) for name, default in zip(Account._fields, (None, None, 0), strict=True)
    )
    settings.pop("client_name", None)
    return Account(username, password, int(db))


class OneServer:
    """A single server, by URL."""

    single = True
    layout = ""
    fails_over = False

    def __init__(self, runtime: Runtime, name: str, open: Open, account: Account, duty: Duty) -> None:
        self.account = account.username or DEFAULT_USER
        self._began: Callable[[], None] = _nobody
        self._node = Node(runtime, name, open, duty=duty, on_new_reign=lambda: self._began())

    @property
    def reign(self) -> int:
        return self._node.reign

    async def still_reigns(self, reign: int, deadline: Deadline) -> bool:
        """Nobody decides who comes after a single server: another one is noticed with the next link."""
        return reign == self._node.reign

    def watch_reigns(self, began: Callable[[], None]) -> None:
        self._began = began

    async def node(self, key: str, deadline: Deadline) -> Node:
        return self._node

    async def ask(self, commands: Sequence[Command], deadline: Deadline) -> list[tuple[bytes, Any]]:
        link, replies = await self._node.ask(commands, deadline)
        return [(link.epoch, typed(reply) if isinstance(reply, ReplyError) else reply) for reply in replies]

    async def nodes(self, deadline: Deadline) -> list[Node]:
        return [self._node]

    def place(self, key: str) -> Hashable:
        return None

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
    return OneServer(runtime, name, open, account, duty)


def _nobody() -> None:
    return None
