"""One connection to one server, from the handshake on.

`epoch` is eight bytes of a hash of the server's run id and replication id. Everything that the fences keep in Redis begins with it, so
that what another run or another primary left behind is a miss, a missing floor, an expired lease (rule 7 of the coherence protocol):
a restart from a snapshot changes the run id; a promotion changes the replication id, also that of a server which was a primary
before, in the same run, and comes back with what its successor did not know to drop.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tierstore.backends.redis.errors import refused_login, typed
from tierstore.backends.redis.wire import ReplyError, Wire, open_asyncio, open_blocking, pack, until_any
from tierstore.errors import ConfigError, ConnectionError, StorageError
from tierstore.runtime import Deadline, Runtime

CLIENT_NAME = "tierstore"
EPOCH_BYTES, IDENTITY_DIGITS = 8, 40


class Account(NamedTuple):
    """Who we are to the server."""

    username: str | None = None
    password: str | None = None
    db: int = 0

    def __repr__(self) -> str:
        return f"Account({self.username!r}, db={self.db})"  # without the password

    def words(self) -> list[tuple[str, ...]]:
        login = [word for word in (self.username, self.password) if word]
        return [("AUTH", *login)] * bool(login) + [("SELECT", str(self.db))] * bool(self.db)


class Link:
    """A wire with its place in the reply stream. Once `exchange` failed it is closed and never used again."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.epoch = b""
        self.identity = ""
        self.version = ""
        self.closed = False
        self.until = float("inf")
        """When its pool gives it up, on the runtime's clock."""
        self.is_guarded = False
        """Whether a transaction on it would fail if anybody watched state by now (`state/writes.py`)."""
        self.reign = 0
        """That of its node in which it was made: in another one it leads to a server that was replaced."""

    async def greet(self, account: Account, deadline: Deadline) -> None:
        """Log in and learn which server this is, in one round trip. ConnectionError if it is a replica."""
        words = [*account.words(), ("CLIENT", "SETNAME", CLIENT_NAME), ("INFO", "server"), ("INFO", "replication")]
        *login, _, server, replication = await self.exchange(b"".join(map(pack, words)), len(words), deadline)
        try:
            for reply in login:
                if isinstance(reply, ReplyError):
                    raise refused_login(reply)
            for reply in (server, replication):
                if isinstance(reply, ReplyError):
                    raise typed(reply)
            self._know(facts(server), facts(replication))
        except StorageError:
            self.close()
            raise

    async def log_in(self, account: Account, deadline: Deadline) -> list[Any]:
        """The replies to what an account has to say, for a server that is asked for nothing else (a sentinel)."""
        words = account.words()
        return await self.exchange(b"".join(map(pack, words)), len(words), deadline) if words else []

    def _know(self, server: Mapping[str, str], replication: Mapping[str, str]) -> None:
        if "run_id" not in server:
            raise ConfigError(
                "the Redis server does not report its run id (INFO server), which tierstore needs; allow the INFO command"
            )
        if replication.get("role") != "master":
            raise ConnectionError("this Redis server is a replica; give the address of its primary, or of Sentinel")
        digest = hashlib.sha256(f"{server['run_id']} {replication.get('master_replid')}".encode())
        self.epoch = digest.digest()[:EPOCH_BYTES]
        self.identity = digest.hexdigest()[:IDENTITY_DIGITS]
        name = server.get("server_name", "redis")
        self.version = f"{name} {server.get(f'{name}_version', server.get('redis_version', '?'))}"

    async def exchange(self, payload: bytes, count: int, deadline: Deadline) -> list[Any]:
        """Send commands and read their `count` replies; an error reply is a `ReplyError` among them."""
        try:
            return await self.wire.exchange(payload, count, deadline)
        except BaseException:  # cancelled too: the replies that are still to come must reach nobody
            self.close()
            raise

    async def send(self, payload: bytes, deadline: Deadline) -> None:
        """Without waiting for the reply: on a subscribed link it comes among what is pushed."""
        await self.exchange(payload, 0, deadline)

    async def pushed(self, deadline: Deadline) -> list[Any]:
        try:
            return await self.wire.pushed(deadline)
        except StorageError:
            self.close()
            raise

    def idle(self) -> bool:
        """Whether it may be used again."""
        return not self.closed and self.wire.idle()

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.wire.close()


async def open_link(runtime: Runtime, settings: Mapping[str, Any], deadline: Deadline) -> Link:
    """Connect, without a handshake."""
    opener = open_asyncio if runtime.face == "async" else open_blocking
    return Link(await opener(settings, deadline))


async def until_pushed(links: Sequence[Link], deadline: Deadline) -> None:
    """Until one of them may have something to take by `pushed`; at the deadline at the latest."""
    await until_any([link.wire for link in links], deadline)


def facts(info: bytes) -> dict[str, str]:
    """The lines of an answer to INFO."""
    lines = info.decode("utf-8", "replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)
