"""The primary that Sentinel names. All sentinels are asked, and who has seen the latest fail-over is believed.

A sentinel hears of a fail-over up to some seconds after the one that led it. Each fail-over has a number, the config epoch, so that of two
answers the later one is known. Links to the sentinels are kept: asking them takes one round trip.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from tierstore.backends.redis.commands import Plain
from tierstore.backends.redis.errors import FORBIDDEN, typed
from tierstore.backends.redis.link import Account, Link, open_link
from tierstore.backends.redis.node import Duty, Node
from tierstore.backends.redis.route import OneServer, SentinelAddress, Settings
from tierstore.backends.redis.wire import ReplyError, with_tls
from tierstore.errors import ConfigError, ConnectionError, StorageError
from tierstore.runtime import Deadline, Runtime
from tierstore.runtime.outages import Report

ACCOUNT = "set sentinel_password, and sentinel_username where it has accounts"
Address = tuple[str, int]
Named = tuple[int, Address]
"""A primary, after the number of the fail-over that made it one."""


class ServerBySentinel(OneServer):
    """The primary of one service. A fail-over is noticed when a link is made, and whenever somebody asks whether it still reigns."""

    fails_over = True

    def __init__(self, runtime: Runtime, address: SentinelAddress, duty: Duty) -> None:
        account = Account(address.username, address.password, address.db)
        super().__init__(runtime, f"sentinel service {address.service}", self._open, account, duty)
        self._runtime = runtime
        self._account = account
        self._options = _settings(address.server_options)
        self._sentinels = Sentinels(runtime, address, duty)
        self._linked: Address | None = None
        self._asked = self._answered = 0

    async def _open(self, deadline: Deadline) -> Link:
        self._asked = number = self._asked + 1
        primary = (await self._sentinels.named(deadline))[0]
        if number > self._answered:
            self._answered, self._linked = number, primary
        link = await open_link(self._runtime, self._options | {"host": primary[0], "port": primary[1]}, deadline)
        await link.greet(self._account, deadline)
        if primary != self._linked:  # a sentinel that was asked later knows better
            link.close()
            raise ConnectionError("the Redis primary was replaced while a connection to it was made", tier="l2")
        return link

    async def still_reigns(self, reign: int, deadline: Deadline) -> bool:
        linked = self._linked
        primaries = await self._sentinels.named(deadline)
        if linked is not None and linked == self._linked and linked not in primaries:
            self._node.forget()
        return reign == self._node.reign and primaries == [linked]

    def close(self) -> None:
        super().close()
        self._sentinels.close()


class Sentinels:
    """Those that watch one service."""

    def __init__(self, runtime: Runtime, address: SentinelAddress, duty: Duty) -> None:
        self._runtime = runtime
        self._service = address.service
        self._account = Account(address.sentinel_username, address.sentinel_password)
        self._options = _settings(address.sentinel_options)
        self._outage = runtime.outages.of(duty.component, "its sentinels")
        self._silent = False
        unreported = _Unreported(runtime.outages, duty.component, "one of its sentinels")
        self._nodes = [
            Node(runtime, f"the sentinel {host}:{port}", self._opener(host, port), outage=unreported)
            for host, port in address.hosts
        ]

    def _opener(self, host: str, port: int) -> Callable[[Deadline], Coroutine[Any, Any, Link]]:
        async def open(deadline: Deadline) -> Link:
            link = await open_link(self._runtime, self._options | {"host": host, "port": port}, deadline)
            for reply in await link.log_in(self._account, deadline):
                if isinstance(reply, ReplyError):
                    link.close()
                    raise ConfigError(f"the sentinel refuses the account ({reply}): {ACCOUNT}", tier="l2")
            return link

        return open

    async def named(self, deadline: Deadline) -> list[Address]:
        """The primary; several where sentinels differ and none is known to be ahead. ConnectionError, ConfigError if none names one."""
        nodes = sorted(self._nodes, key=lambda node: node.breaker.failing)
        parts = [2] * len(nodes) if self._runtime.face == "async" else range(len(nodes) + 1, 1, -1)
        causes: list[StorageError] = []
        answers = await self._runtime.gather(
            [self._answer(node, deadline, share, causes) for node, share in zip(nodes, parts, strict=True)]
        )
        found = [answer for answer in answers if answer is not None]
        if not found:
            error, self._silent = self._unnamed(causes), True
            self._outage.began(error)
            raise error
        if self._silent:
            self._silent = False
            self._outage.ended()
        latest = max(fail_over for fail_over, _ in found)
        return list(dict.fromkeys(address for fail_over, address in found if fail_over == latest))

    def _unnamed(self, causes: list[StorageError]) -> StorageError:
        wrong = any(isinstance(cause, ConfigError) for cause in causes)
        said = "; ".join(map(str, causes))
        return (ConfigError if wrong else ConnectionError)(
            f"no Sentinel knows a primary of {self._service!r}: {said}", tier="l2"
        )

    async def _answer(self, sentinel: Node, deadline: Deadline, parts: int, causes: list[StorageError]) -> Named | None:
        """What one says, within its part of the time that is left: the last part is for the primary."""
        try:
            return await self._ask(sentinel, deadline.within(deadline.remaining() / parts))
        except StorageError as error:
            causes.append(error)
            return None

    async def _ask(self, sentinel: Node, deadline: Deadline) -> Named:
        """The number comes first: where a fail-over falls in between, the new primary is given the old number, never the reverse."""
        words = ("MASTER", self._service), ("GET-MASTER-ADDR-BY-NAME", self._service)
        _, (about, address) = await sentinel.ask([Plain("", ("SENTINEL", *one)) for one in words], deadline)
        if isinstance(address, ReplyError):
            raise _refused(sentinel, address)
        if address is None:
            raise ConfigError(f"{sentinel.name} does not know the service {self._service!r}", tier="l2")
        return _config_epoch(about), (address[0].decode(), int(address[1]))

    def close(self) -> None:
        for node in self._nodes:
            node.close()


def _settings(options: Mapping[str, Any]) -> Settings:
    return with_tls(dict(options)) if options else {}


class _Unreported(Report):
    """One sentinel of several may be missing: that is no outage."""

    def began(self, cause: object) -> None:
        return None

    def ended(self) -> None:
        return None


def _config_epoch(about: Any) -> int:
    """Of the answer to SENTINEL MASTER; 0 where an account may not ask that."""
    if not isinstance(about, list):
        return 0
    return int(dict(zip(about[::2], about[1::2], strict=False)).get(b"config-epoch", 0))


def _refused(sentinel: Node, reply: ReplyError) -> StorageError:
    if reply.code in FORBIDDEN:
        return ConfigError(f"{sentinel.name} refuses the account ({reply}): {ACCOUNT}", tier="l2")
    return typed(reply)
