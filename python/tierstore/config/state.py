"""Where state lies, and how: `store.state`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import quote

from tierstore.config.check import check, refuse, require
from tierstore.config.objects import MIB
from tierstore.config.redis import SCHEMES, RedisConfig
from tierstore.config.secrets import redacted_address
from tierstore.config.setting import Policy, named
from tierstore.config.sources import Given
from tierstore.errors import ConfigError

Backend = Literal["auto", "memory", "sql", "redis", "valkey"]
DAY_S: Final = 86_400
MAX_TTL_S: Final = 10 * 366 * DAY_S
"""The longest lifetime of a value: ten years."""
KEY_BYTES: Final = 32
MAX_KEY_ID_BYTES: Final = 255
MAX_VALUE_BYTES: Final = 64 * MIB
LOCAL: Final = "localhost:6379"
TYPE, ADDRESS = "POLLY_STORAGE_TYPE", "POLLY_VALKEY_ADDRESS"
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/@\[\]]+)(:\d{1,5})?")


PLACE: Final = ("backend", "url", "username", "password", "db")


class PairsPlace(NamedTuple):
    """Where pairs of keys and values lie outside the database. `redis`: the server; None: this process's memory.

    `prefix`: before every key. `cache_prefix`: that of the cache tier, if it is on the same server. `max_entries`: how many keys memory
    holds; `max_watched`: how many one watch follows on Redis. `named`: for people, without secrets.
    """

    named: str
    redis: RedisConfig | None
    prefix: str
    cache_prefix: str | None
    max_entries: int
    max_watched: int


@dataclass(frozen=True, slots=True, repr=False)
class StateEncryption(Policy):
    """Keys of 32 bytes (AES-256-GCM) by their ids: all of them open values, `active` seals. Needs the extra `encryption`."""

    keys: Mapping[str, bytes] = field(metadata=named("STATE_ENCRYPTION_KEYS", "state.encryption.keys", secret=True))
    """Keys of 32 bytes by their ids; in a variable or a file as base64: `2026-11=…,2027-01=…`."""
    active: str = field(metadata=named("STATE_ENCRYPTION_ACTIVE", "state.encryption.active"))
    """The id of the key that seals what is written."""

    def __post_init__(self) -> None:
        check(self, "state.encryption.")
        keys: Any = self.keys
        for name, key in keys.items():
            right = isinstance(key, bytes) and len(key) == KEY_BYTES
            is_id = isinstance(name, str) and 0 < len(name.encode("utf-8", "replace")) <= MAX_KEY_ID_BYTES
            if not (right and is_id):
                text = f"state.encryption.keys must have {KEY_BYTES} bytes for each id (a text of 1 to {MAX_KEY_ID_BYTES} bytes)"
                raise ConfigError(text, key="state.encryption.keys")
        require("state.encryption.active", self.active, self.active in keys, "the id of one of the keys")


@dataclass(frozen=True, slots=True, repr=False)
class StateConfig(Policy):
    """Where state lies, and how: `store.state`. Adding a cache never moves state: the store's Redis holds it only when named."""

    backend: Backend = field(default="auto", metadata=named(TYPE, "state.backend"))
    """`sql`: the store's database. `redis` (`valkey` is the same): the server at `url`, else the store's Redis. `memory`: gone when the
    process ends. `auto`: what POLLY_STORAGE_TYPE says, else the server at `url`, else the database. In the variable, `valkey` without an
    address is localhost:6379."""
    url: str | None = field(default=None, metadata=named(ADDRESS, "state.url", address=True))
    """The address of a Redis or Valkey server of its own for state: `host:port`, or `redis://…` as in `redis.url`."""
    username: str | None = field(default=None, metadata=named("POLLY_VALKEY_USERNAME", "state.username"))
    """The user name at that server, unless the address has one."""
    password: str | None = field(default=None, metadata=named("POLLY_VALKEY_PASSWORD", "state.password", secret=True))
    """The password at that server, unless the address has one."""
    db: int = field(default=0, metadata=named("POLLY_VALKEY_DB", "state.db", least=0))
    """The number of the database on that server, unless the address has one."""
    ttl: float | None = field(default=DAY_S, metadata=named("STATE_TTL_SECONDS", "state.ttl_seconds"))
    """How long a value lives if the call says nothing. None (in code): without an end."""
    prefix: str = field(default="", metadata=named("STATE_PREFIX", "state.prefix"))
    """What stands before every key at its place, and is no part of the keys that calls take and return."""
    compress_min: int = field(
        default=4_096, metadata=named("STATE_COMPRESS_MIN_BYTES", "state.compress_min_bytes", least=1)
    )
    """Values of so many bytes are compressed, if they become smaller by it."""
    encryption: StateEncryption | None = None
    max_value_bytes: int = field(
        default=MAX_VALUE_BYTES, metadata=named("STATE_MAX_VALUE_BYTES", "state.max_value_bytes", least=1)
    )
    """The longest value, in bytes, as JSON text."""
    max_entries: int = field(default=1_000_000, metadata=named("STATE_MAX_ENTRIES", "state.max_entries", least=1))
    """The most keys that memory holds. A further key is an error; nothing is evicted."""
    max_watched: int = field(default=1_000_000, metadata=named("STATE_MAX_WATCHED", "state.max_watched", least=1))
    """The most keys that one watch follows on Redis, where who watches keeps the times at which they end."""

    def __post_init__(self) -> None:
        check(self, "state.")
        if self.url is not None and not self.url.startswith(SCHEMES):
            where = _HOST.fullmatch(self.url)
            require("state.url", redacted_address(self.url), where is not None, "host:port or redis://…")
        if self.ttl is not None and self.ttl > MAX_TTL_S:
            refuse("state.ttl", self.ttl, "a number of seconds, at most ten years")
        if re.search(r"[{}\s]", self.prefix) or not self.prefix.isprintable():
            refuse("state.prefix", self.prefix, "text without braces and white space")


def settled(policy: StateConfig, given: Mapping[str, Given]) -> StateConfig:
    """With the place that variables gave, where the policy leaves it to them."""
    if policy.backend != "auto" or policy.url is not None:
        return policy
    found = with_local_valkey(given)
    return replace(policy, **{name: found[f"state.{name}"].value for name in PLACE if f"state.{name}" in found})


def place_of(policy: StateConfig, redis: RedisConfig | None) -> PairsPlace | None:
    """Where state lies; None: in the store's database. `redis`: the store's own. ConfigError where there is no such place."""
    if policy.backend == "sql" or (policy.backend == "auto" and policy.url is None):
        return None
    bounds = {"max_entries": policy.max_entries, "max_watched": policy.max_watched}
    if policy.backend == "memory":
        return PairsPlace("memory", None, policy.prefix, None, **bounds)
    if policy.url is not None:
        own = RedisConfig(_address(policy, policy.url), required=True)
        return PairsPlace(_named(own, policy.prefix), own, policy.prefix, None, **bounds)
    if redis is None:
        expected = (
            "sql or memory where neither state.url (POLLY_VALKEY_ADDRESS) nor Redis for the store (REDIS_URL) is given"
        )
        refuse("state.backend", policy.backend, expected)
    prefix = redis.prefix + policy.prefix
    return PairsPlace(_named(redis, prefix), redis, prefix, redis.prefix, **bounds)


def _address(policy: StateConfig, url: str) -> str:
    if url.startswith(SCHEMES):
        scheme, rest = url.split("://", 1)
    else:
        scheme, rest = "redis", url if re.search(r":\d+$", url) else f"{url}:6379"
    if "@" not in rest and (policy.username is not None or policy.password is not None):
        rest = f"{quote(policy.username or '', safe='')}:{quote(policy.password or '', safe='')}@{rest}"
    if policy.db and scheme != "unix" and not re.search(r"/\d+(\?|$)", rest):
        rest = f"{rest.rstrip('/')}/{policy.db}"
    return f"{scheme}://{rest}"


def with_local_valkey(given: Mapping[str, Given]) -> Mapping[str, Given]:
    """POLLY_STORAGE_TYPE=valkey without an address is the server on this machine."""
    if given.get("state.backend") == Given("valkey", TYPE) and "state.url" not in given:
        return {**given, "state.url": Given(LOCAL, TYPE)}
    return given


def _named(policy: RedisConfig, prefix: str) -> str:
    """Which servers and names on them, without accounts and parameters."""
    if policy.sentinel is not None:
        where = f"sentinel {policy.sentinel.service}/{policy.sentinel.db}"
    else:
        where = ",".join(sorted(map(_server, policy.cluster or (str(policy.url),))))
    return f"redis {where} {prefix}".rstrip()


def _server(url: str) -> str:
    return url.split("://", 1)[1].rpartition("@")[2].partition("?")[0]
