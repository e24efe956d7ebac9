"""What endangers state on a server, by what the server says of itself (INFO)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

SHARDED_PUBLISHING = 7
"""The version of Redis from which on a cluster can tell what changed. Every Valkey can."""
UNWATCHED = (
    f"changes of state cannot be watched: a Redis cluster tells them from version {SHARDED_PUBLISHING} on, this is {{}}"
)


def dangers(info: Mapping[str, str]) -> Iterator[str]:
    """In words, for health; of INFO memory and persistence."""
    if (policy := info.get("maxmemory_policy", "noeviction")) != "noeviction":
        yield (
            f"the Redis server of state may evict keys (maxmemory-policy {policy}), and state would be gone in silence: "
            "set maxmemory-policy noeviction"
        )
    if info.get("aof_enabled") == "0":
        yield (
            "the Redis server of state keeps no append-only file: what it acknowledged may be lost when it crashes; set appendonly yes"
        )


def version(info: Mapping[str, str]) -> str:
    """Name and version of the server."""
    name = info.get("server_name", "redis")
    return f"{name} {info.get(f'{name}_version', info.get('redis_version', '?'))}"


def publishes_by_shard(info: Mapping[str, str]) -> bool:
    """Whether its cluster tells what changed. Valkey names the version of Redis that it began from: 7.2."""
    major = info.get("redis_version", "").partition(".")[0]
    return not major.isdigit() or int(major) >= SHARDED_PUBLISHING
