"""The commands that state uses, scripts included, for a look at what the account may not do."""

from __future__ import annotations

from tierstore.backends.redis.diagnosis import NO_SCRIPT, NOBODY, Trials
from tierstore.backends.redis.state.scripts import RESERVED


def of_state(prefix: str, *, single: bool) -> Trials:
    """`single`: changes are told by a stream, and values set in transactions; in a cluster by counters and their channels."""
    name = f"{prefix}{RESERVED}{NOBODY}"
    return (
        ("EVALSHA", NO_SCRIPT, "1", name),
        ("EVAL", "return 1", "1", name),
        ("MGET", name),
        ("GET", name),
        ("SET", name, "", "PX", "0"),  # no time to live is refused, but after the rights
        ("EXISTS", name),
        ("TYPE", name),
        ("PTTL", name),
        ("PEXPIRETIME", name),
        ("PEXPIRE", name, "1"),
        ("PERSIST", name),
        ("TIME",),
        ("SCAN", "0", "MATCH", name, "COUNT", "1"),
        *(_by_stream(name) if single else _by_shard(name)),
    )


def _by_stream(name: str) -> Trials:
    return (
        ("XADD", name, "no id", "field", "value"),
        ("XRANGE", name, "-", "+"),
        ("XREVRANGE", name, "+", "-"),
        ("XREAD", "STREAMS", name, "0"),
        ("DEL", name),
        ("DBSIZE",),
        ("WATCH", name),
        ("UNWATCH",),
        ("EXEC",),
        ("MULTI",),
    )


def _by_shard(name: str) -> Trials:
    return ("INCR", name), ("DEL", name), ("SPUBLISH", name, ""), ("SSUBSCRIBE", name)
