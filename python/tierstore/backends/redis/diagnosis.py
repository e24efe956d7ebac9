"""What an operator of Redis should know of before it hurts: rights that the account lacks, primaries that may lose writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tierstore.backends.redis.commands import Plain
from tierstore.backends.redis.link import facts
from tierstore.backends.redis.route import Route
from tierstore.backends.redis.wire import ReplyError, pack
from tierstore.plan.keys import FAMILY, ChannelNames
from tierstore.runtime import Deadline

NO_SCRIPT = "0" * 40
NOBODY = "{rights}"
"""Stands in each name that is tried: a hash tag that nothing else has, so that nothing lies under these names."""
Trials = Sequence[tuple[str, ...]]
"""Commands that have no effect, whatever the account may do. The last one may take the connection for itself."""


async def missing_rights(route: Route, trials: Trials, everything: str, deadline: Deadline) -> list[str]:
    """What the account may not do, each with the rule that grants it. StorageError if the server does not answer.

    `everything`: how all names begin that it needs. The commands are tried over a connection of their own: `ACL DRYRUN` and `ACL GETUSER`
    would tell too, but are for administrators. In a cluster one node is asked.
    """
    node = await route.node(NOBODY, deadline)
    link = await node.open_own(deadline)
    try:
        replies = await link.exchange(b"".join(map(pack, trials)), len(trials), deadline)
    finally:
        link.close()
    found = [
        f"the account {route.account!r} at Redis may not {_missing(words, reply, everything)}"
        for words, reply in zip(trials, replies, strict=True)
        if isinstance(reply, ReplyError) and "NOPERM" in str(reply)  # of EXEC the server says EXECABORT first
    ]
    return list(dict.fromkeys(found))


def of_the_cache(prefix: str) -> Trials:
    """Every command that the cache tier and the channel use, scripts included."""
    channel, *others = (f"{prefix}{FAMILY}.{of}:{NOBODY}" for of in ChannelNames._fields)
    value, *beside = (f"{prefix}{FAMILY}{of}:{NOBODY}" for of in ("", ".lease", ".handover", ".floor"))
    sequence, pings = others[:2]
    return (
        ("EVALSHA", NO_SCRIPT, "1", value),
        ("EVAL", "return 1", "1", value),
        ("MGET", value),
        *(("GET", key) for key in (value, *beside, *others)),
        ("GETRANGE", value, "0", "17"),
        ("SET", value, "", "PX", "0"),  # no time to live is refused, but after the rights
        ("DEL", value),
        ("HGET", sequence, "stream"),
        ("HMGET", sequence, "stream"),
        ("HSET", sequence, "stream", "", "number"),  # a field without a value is refused
        ("HINCRBY", sequence, "number", "one"),
        ("RPUSH", pings, ""),
        ("EXPIRE", pings, "1"),
        ("LTRIM", pings, "1", "0"),
        ("LPOP", pings, "1"),
        ("DEL", pings),
        ("PUBLISH", channel, ""),
        ("SUBSCRIBE", channel),
    )


def _missing(words: tuple[str, ...], reply: ReplyError, everything: str) -> str:
    """The server's text says only which of the three it was."""
    name = next((word.partition(NOBODY)[0] for word in words if NOBODY in word), "")
    if "channel" in str(reply):
        return f"use the channel {_shown(name)}*: grant &{everything}*"
    if "key" in str(reply):
        return f"use the keys {_shown(name)}*: grant ~{everything}*"
    return f"run {words[0]}: grant +{words[0].lower()}"


def _shown(name: str) -> str:
    return "".join(filter(str.isprintable, name))


async def unsafe_primaries(route: Route, deadline: Deadline) -> list[str]:
    """Primaries that another one may replace, and that would go on taking writes then. StorageError if one does not answer."""
    found = []
    for node in await route.nodes(deadline) if route.fails_over else ():
        _, (reply,) = await node.ask([Plain("", ("INFO", "replication"))], deadline, probe=True)
        if _may_lose_writes(reply, alone=not route.single):
            found.append(
                f"Redis at {node.name}: min-replicas-to-write is 0, so that a primary which is cut off goes on taking writes: "
                "set it to 1"
            )
    return found


def _may_lose_writes(reply: Any, *, alone: bool) -> bool:
    """`alone`: a primary without a replica is never replaced. The server counts good replicas only where it needs some."""
    known = facts(reply) if isinstance(reply, bytes) else {"min_slaves_good_slaves": "unknown"}
    replaceable = not alone or known.get("connected_slaves") != "0"
    return replaceable and "min_slaves_good_slaves" not in known
