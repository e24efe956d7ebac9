"""Error replies of Redis, as errors of ours."""

from __future__ import annotations

from tierstore.backends.redis.wire import ReplyError
from tierstore.errors import ConfigError, ConnectionError, QueryError, StorageError

UNAVAILABLE = {
    "LOADING": "is loading its data from disk",
    "READONLY": "has become a replica",
    "MASTERDOWN": "lost its primary",
    "CLUSTERDOWN": "belongs to a cluster that lost a part of its slots",
    "TRYAGAIN": "is moving the key's slot to another node",
    "MOVED": "does not own the key's slot any more",
    "ASK": "is moving the key's slot to another node",
    "BUSY": "runs a long script",
    "NOREPLICAS": "has too few replicas to accept writes",
    "UNBLOCKED": "gave up a blocked call",
}
"""The server is there but cannot serve now; the caller goes on without it and it is tried again."""

REFUSED = {
    "OOM": "is out of memory: raise maxmemory, or remove keys; only one that is nothing but a cache may evict them",
    "MISCONF": "refuses writes because it cannot save to its disk",
}
MOVING = ("TRYAGAIN", "MOVED", "ASK")
"""Of those: the command was not executed, and will be when the slot has moved."""
_SENT, _MOVING = "may_be_executed", "slot_is_moving"
_ARGUMENTS = ", with args beginning with"
"""What an answer goes on with that shows the command's arguments."""
FORBIDDEN = ("NOAUTH", "WRONGPASS", "NOPERM", "DENIED")


def typed(reply: ReplyError) -> StorageError:
    """ConnectionError: not now. QueryError: this command was refused. ConfigError: the account or the address is wrong."""
    code = reply.code
    if code in MOVING:
        return _marked(ConnectionError(f"the Redis server {UNAVAILABLE[code]} ({code})", tier="l2"), _MOVING)
    if code in UNAVAILABLE:
        return ConnectionError(f"the Redis server {UNAVAILABLE[code]} ({code})", tier="l2")
    if code in REFUSED:
        return QueryError(f"the Redis server {REFUSED[code]} ({code})", tier="l2")
    if code in FORBIDDEN:
        return refused_login(reply)
    said = str(reply).partition(_ARGUMENTS)[0]
    return QueryError(f"the Redis server refused a command: {said}", tier="l2")


def refused_login(reply: ReplyError) -> StorageError:
    """AUTH or SELECT was answered with an error."""
    if reply.code in UNAVAILABLE:
        return typed(reply)
    if reply.code == "NOPERM":
        return ConfigError(f"the account at Redis lacks a right ({reply}); health names what to grant", tier="l2")
    return ConfigError(f"the Redis server refuses the account or the database number ({reply})", tier="l2")


def mark_sent(error: StorageError) -> None:
    """The commands were on their way when it failed: the server may have executed them."""
    _marked(error, _SENT)


def was_sent(error: StorageError) -> bool:
    return _SENT in error.__dict__


def is_moving(error: object) -> bool:
    """Whether a command was not executed because its slot is on the way to another node."""
    return isinstance(error, StorageError) and _MOVING in error.__dict__


def _marked(error: StorageError, mark: str) -> StorageError:
    error.__dict__[mark] = True
    return error


def must_reconnect(reply: object) -> bool:
    """Whether the server behind this connection has changed its part: all connections to it are made anew."""
    return isinstance(reply, ReplyError) and reply.code in ("READONLY", "MASTERDOWN", "NOAUTH")
