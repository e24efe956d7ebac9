"""Configuration: small frozen policies, given in code, by a TOML file or by the environment. No other file reads the environment.

A wrong value is refused at once with its name, the value and what was expected. Addresses may carry passwords, so that no repr and no
error shows them; `redacted` gives the form for people.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

from tierstore.errors import ConfigError

MIB = 1024 * 1024
INLINE_MAX = 65_536
"""Content up to so many bytes lies in its row."""
MIN_CONNECTIONS = 10
POSTGRES_SCHEMES = ("postgres://", "postgresql://")
REDIS_SCHEMES = ("redis://", "rediss://", "unix://", "valkey://", "valkeys://")
SECRETS = frozenset({"access_key", "secret_key", "password"})
P = TypeVar("P")


def redacted(text: str) -> str:
    """An address, or a line that names one, without passwords: what stands between a user's colon and the last @ of the word."""
    hidden = re.sub(r"([^\s:/@]*):(?!//)\S*@", r"\1:***@", text)
    return re.sub(r"(password=)\S+", r"\1***", hidden, flags=re.IGNORECASE)


def _require(name: str, value: object, holds: bool, expected: str) -> None:
    if not holds:
        raise ConfigError(f"{name} = {value!r}: expected {expected}")


def _number(name: str, value: object, *, least: float, whole: bool = False) -> None:
    allowed = (int,) if whole else (int, float)
    right = isinstance(value, allowed) and not isinstance(value, bool) and least <= value < float("inf")
    _require(name, value, right, f"a {'whole ' if whole else ''}number, {least} or more")


def _address(name: str, value: str, schemes: tuple[str, ...]) -> None:
    if not value.startswith(schemes) or not _encodable(value):
        raise ConfigError(
            f"{name} = {redacted(value)!r}: expected an address that starts with one of {', '.join(schemes)}"
        )


def _encodable(text: str) -> bool:
    """Whether the operating system takes it: it ends no C string early, and it has UTF-8."""
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return "\0" not in text


@dataclass(frozen=True, slots=True)
class PostgresConfig:
    """PostgreSQL: the primary, its replicas and the pool. All times in seconds.

    `url` may name several hosts and `target_session_attrs`; each of `replicas` is an address of its own. `max_connections` are for
    callers, of the primary and of each replica; background jobs and uploads have 5 more of the primary. `statement_timeout`: the
    server's limit for a statement of a call that names no `timeout=` of its own; bulk calls have that of their deadline.
    `min_connections`: None is 10, or `max_connections` where that is less.
    """

    url: str = field(repr=False)
    replicas: tuple[str, ...] = field(default=(), repr=False)
    schema: str = "public"
    max_connections: int = 50
    min_connections: int | None = None
    acquire_timeout: float = 3
    idle_timeout: float = 600
    max_lifetime: float = 1800
    statement_timeout: float = 3

    def __post_init__(self) -> None:
        for name, url in (("postgres.url", self.url), *(("postgres.replicas", url) for url in self.replicas)):
            _address(name, url, POSTGRES_SCHEMES)
        _require(
            "postgres.schema",
            self.schema,
            re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", self.schema) is not None,
            "a lower-case SQL name",
        )
        _number("postgres.max_connections", self.max_connections, least=4, whole=True)
        least, most = self.min_connections, self.max_connections
        if least is None:
            object.__setattr__(self, "min_connections", min(MIN_CONNECTIONS, most))
        else:
            _number("postgres.min_connections", least, least=0, whole=True)
            _require("postgres.min_connections", least, least <= most, f"at most max_connections ({most})")
        for name in ("acquire_timeout", "idle_timeout", "max_lifetime", "statement_timeout"):
            _number(f"postgres.{name}", getattr(self, name), least=0.001)


@dataclass(frozen=True, slots=True)
class SentinelConfig:
    """Redis behind Sentinel: the sentinels as (host, port), and the name they watch."""

    hosts: tuple[tuple[str, int], ...]
    service: str
    password: str | None = field(default=None, repr=False)
    username: str | None = None
    db: int = 0

    def __post_init__(self) -> None:
        _require("redis.sentinel.hosts", self.hosts, len(self.hosts) > 0, "at least one (host, port)")


@dataclass(frozen=True, slots=True)
class RedisConfig:
    """Redis or Valkey: one of `url`, `sentinel`, `cluster` (addresses of some nodes). Times in seconds.

    A read waits `soft_timeout` for L2 before it goes to the database; `hard_timeout` bounds every other call.
    """

    url: str | None = field(default=None, repr=False)
    sentinel: SentinelConfig | None = None
    cluster: tuple[str, ...] | None = field(default=None, repr=False)
    ttl: float = 3600
    prefix: str = ""
    soft_timeout: float = 0.05
    hard_timeout: float = 0.25

    def __post_init__(self) -> None:
        given = [name for name in ("url", "sentinel", "cluster") if getattr(self, name)]
        _require("redis", given, len(given) == 1, "exactly one of url, sentinel, cluster")
        for url in (self.url,) if self.url else self.cluster or ():
            _address("redis.url", url, REDIS_SCHEMES)
        _require("redis.prefix", self.prefix, not re.search(r"[{}\s]", self.prefix), "text without braces and blanks")
        for name in ("ttl", "soft_timeout", "hard_timeout"):
            _number(f"redis.{name}", getattr(self, name), least=0.001)


@dataclass(frozen=True, slots=True)
class ObjectConfig:
    """An S3-compatible store. Content of `threshold` bytes or more goes there.

    Without keys boto3 looks for credentials where it always does.
    """

    bucket: str
    region: str = "us-east-1"
    prefix: str = ""
    endpoint_url: str | None = None
    threshold: int = MIB
    access_key: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)
    versioning: bool = False
    expire_noncurrent_days: int | None = None
    connect_timeout: float = 1
    read_timeout: float = 5
    threads: int = 16

    def __post_init__(self) -> None:
        _require(
            "objects.bucket",
            self.bucket,
            re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", self.bucket) is not None,
            "3 to 63 of a-z 0-9 . -",
        )
        _require(
            "objects.access_key", "…", (self.access_key is None) == (self.secret_key is None), "both keys or neither"
        )
        _number("objects.threshold", self.threshold, least=INLINE_MAX + 1, whole=True)
        _number("objects.threads", self.threads, least=1, whole=True)


@dataclass(frozen=True, slots=True)
class CacheConfig:
    """L1, the in-process cache of every store. `ttl_by_kind` in seconds, "schema" for one; others have `ttl`.

    `search_bytes`: what the words of all schemas may take in memory, for searches; with more text, or 0, the database searches.
    """

    max_entries: int = 10_000
    max_bytes: int = 256 * MIB
    ttl: float = 3600
    ttl_by_kind: Mapping[str, float] = field(default_factory=dict)
    warm_on_start: bool = True
    warm_size: int = 100
    search_bytes: int = 256 * MIB

    def __post_init__(self) -> None:
        _number("cache.max_entries", self.max_entries, least=1, whole=True)
        _number("cache.max_bytes", self.max_bytes, least=1, whole=True)
        _number("cache.warm_size", self.warm_size, least=0, whole=True)
        _number("cache.search_bytes", self.search_bytes, least=0, whole=True)
        for name, seconds in (("ttl", self.ttl), *self.ttl_by_kind.items()):
            _number(f"cache.{name}", seconds, least=0.001)


@dataclass(frozen=True, slots=True)
class Deadlines:
    """What a call gets when its caller gives no `timeout=`, in seconds."""

    read: float = 5
    write: float = 10
    search: float = 10
    bulk: float = 120
    open: float = 30
    close: float = 10

    def __post_init__(self) -> None:
        for item in fields(self):
            _number(f"deadlines.{item.name}", getattr(self, item.name), least=0.001)


@dataclass(frozen=True, slots=True)
class Gates:
    """Tiers switched off although their address is given. None: on where an address is given."""

    redis: bool | None = None
    objects: bool | None = None
    replicas: bool | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """Everything `tierstore.open` needs. `Config("data/")` is an embedded store in that folder.

    Either `path` (SQLite and files) or `postgres`; `redis` and `objects` may join both.
    """

    path: str | os.PathLike[str] | None = None
    postgres: PostgresConfig | None = field(default=None, kw_only=True)
    redis: RedisConfig | None = field(default=None, kw_only=True)
    objects: ObjectConfig | None = field(default=None, kw_only=True)
    cache: CacheConfig = field(default_factory=CacheConfig, kw_only=True)
    deadlines: Deadlines = field(default_factory=Deadlines, kw_only=True)
    gates: Gates = field(default_factory=Gates, kw_only=True)
    migrate: Literal["auto", "check", "never"] = field(default="auto", kw_only=True)
    on_unavailable: Literal["raise", "memory"] = field(default="raise", kw_only=True)

    def __post_init__(self) -> None:
        _require("migrate", self.migrate, self.migrate in ("auto", "check", "never"), "auto, check or never")
        _require("on_unavailable", self.on_unavailable, self.on_unavailable in ("raise", "memory"), "raise or memory")
        if (self.path is None) == (self.postgres is None):
            raise ConfigError(
                "give either path (a folder: SQLite and files) or postgres (an address), not both and not neither"
            )
        if self.path is not None:
            path: Any = self.path
            text = os.fspath(path) if isinstance(path, os.PathLike) else path
            _require("path", path, isinstance(text, str) and text != "" and _encodable(text), "the path of a folder")

    @classmethod
    def from_env(cls, environment: Mapping[str, str] | None = None) -> Config:
        """From the variables of `SETTINGS`; a file named by TIERSTORE_CONFIG is read first, variables win over it."""
        variables = os.environ if environment is None else environment
        values: dict[str, Any] = {}
        if file := variables.get("TIERSTORE_CONFIG"):
            values = _from_document(_parse_toml(Path(file)), file)
        for name, (setting, read) in SETTINGS.items():
            if (text := variables.get(name)) and not (name in FALLBACKS and setting in values):
                values[setting] = read(name, text)
        return _build(values)

    @classmethod
    def from_toml(cls, path: str | os.PathLike[str]) -> Config:
        """From a file with a [storage] table; an unknown key is refused with its name."""
        return _build(_from_document(_parse_toml(Path(path)), os.fspath(path)))


def environment_names_a_store(environment: Mapping[str, str] | None = None) -> bool:
    """Whether `Config.from_env` has anything to go by."""
    variables = os.environ if environment is None else environment
    return any(variables.get(name) for name in NAMING_A_STORE)


def _text(name: str, text: str) -> str:
    return text


def _whole(name: str, text: str) -> int:
    _require(name, text, re.fullmatch(r"\s*\d{1,18}\s*", text) is not None, "a whole number")
    return int(text)


def _seconds(name: str, text: str) -> float:
    _require(name, text, re.fullmatch(r"\s*\d{1,12}(\.\d+)?\s*", text) is not None, "a number of seconds")
    return float(text)


def _switch(name: str, text: str) -> bool:
    words = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
    _require(name, text, text.strip().lower() in words, "true or false")
    return words[text.strip().lower()]


def _addresses(name: str, text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


Reader = Callable[[str, str], Any]

SETTINGS: dict[str, tuple[str, Reader]] = {
    "TIERSTORE_PATH": ("path", _text),
    "DATABASE_URL": ("postgres.url", _text),
    "DATABASE_REPLICA_URLS": ("postgres.replicas", _addresses),
    "DATABASE_MAX_CONNECTIONS": ("postgres.max_connections", _whole),
    "DATABASE_MIN_CONNECTIONS": ("postgres.min_connections", _whole),
    "REDIS_URL": ("redis.url", _text),
    "REDIS_TTL_SECONDS": ("redis.ttl", _seconds),
    "S3_BUCKET": ("objects.bucket", _text),
    "S3_REGION": ("objects.region", _text),
    "S3_PREFIX": ("objects.prefix", _text),
    "S3_MIN_SIZE_BYTES": ("objects.threshold", _whole),
    "S3_ENDPOINT_URL": ("objects.endpoint_url", _text),
    "AWS_ENDPOINT_URL_S3": ("objects.endpoint_url", _text),
    "AWS_ENDPOINT_URL": ("objects.endpoint_url", _text),
    "S3_ACCESS_KEY": ("objects.access_key", _text),
    "S3_SECRET_KEY": ("objects.secret_key", _text),
    "CACHE_L1_MAX_ENTRIES": ("cache.max_entries", _whole),
    "CACHE_L1_TTL_SECONDS": ("cache.ttl", _seconds),
    "CACHE_WARM_ON_STARTUP": ("cache.warm_on_start", _switch),
    "CACHE_WARM_SIZE": ("cache.warm_size", _whole),
}
"""Variable → setting. The names are those of the source documents."""

NAMING_A_STORE = ("TIERSTORE_CONFIG", "TIERSTORE_PATH", "DATABASE_URL")
"""The variables that say where the data lies; the others only say more about it."""

FALLBACKS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
"""Used only where no variable before them gave the setting."""

POLICIES: dict[str, type[Any]] = {
    "postgres": PostgresConfig,
    "redis": RedisConfig,
    "objects": ObjectConfig,
    "cache": CacheConfig,
    "deadlines": Deadlines,
    "gates": Gates,
}
ADDRESS_OF = {"postgres": "url", "redis": "url", "objects": "bucket"}
"""A tier is on when its address is given; its other settings alone do not switch it on."""

TOML: dict[str, str] = {
    "storage.path": "path",
    "storage.migrate": "migrate",
    "storage.on_unavailable": "on_unavailable",
    "storage.backend.url": "postgres.url",
    "storage.backend.path": "path",
    "storage.backend.replicas": "postgres.replicas",
    "storage.backend.schema": "postgres.schema",
    "storage.pool.max_connections": "postgres.max_connections",
    "storage.pool.min_connections": "postgres.min_connections",
    "storage.pool.acquire_timeout_secs": "postgres.acquire_timeout",
    "storage.pool.idle_timeout_secs": "postgres.idle_timeout",
    "storage.pool.max_lifetime_secs": "postgres.max_lifetime",
    "storage.pool.statement_timeout_secs": "postgres.statement_timeout",
    "storage.cache.url": "redis.url",
    "storage.cache.cluster": "redis.cluster",
    "storage.cache.ttl_seconds": "redis.ttl",
    "storage.cache.prefix": "redis.prefix",
    "storage.s3.bucket": "objects.bucket",
    "storage.s3.region": "objects.region",
    "storage.s3.prefix": "objects.prefix",
    "storage.s3.min_size_bytes": "objects.threshold",
    "storage.s3.endpoint_url": "objects.endpoint_url",
    "storage.s3.access_key": "objects.access_key",
    "storage.s3.secret_key": "objects.secret_key",
    "storage.l1.max_entries": "cache.max_entries",
    "storage.l1.max_bytes": "cache.max_bytes",
    "storage.l1.ttl_seconds": "cache.ttl",
    "storage.l1.ttl_by_kind": "cache.ttl_by_kind",
    "storage.l1.warm_on_start": "cache.warm_on_start",
    "storage.l1.warm_size": "cache.warm_size",
    **{f"storage.deadlines.{item.name}": f"deadlines.{item.name}" for item in fields(Deadlines)},
    **{f"storage.gates.{item.name}": f"gates.{item.name}" for item in fields(Gates)},
}
"""Key in the file → setting. [storage], [storage.cache], [storage.s3] and [storage.pool] are the source document's."""

TYPES = {"storage.backend.type": ("postgres", "sqlite"), "storage.cache.type": ("redis",)}


def _parse_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"the configuration file {path} cannot be read: {error.strerror}") from error
    except ValueError as error:  # it is no TOML, no UTF-8, or its name is no name
        raise ConfigError(f"the configuration file {str(path)!r} is not TOML: {error}") from error


def _leaves(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in table.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and name not in TOML:
            found |= _leaves(value, f"{name}.")
        else:
            found[name] = value
    return found


def _from_document(document: Mapping[str, Any], file: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in _leaves(document).items():
        if (allowed := TYPES.get(name)) is not None:
            _require(name, value, value in allowed, f"one of {', '.join(allowed)}")
        elif (setting := TOML.get(name)) is None:
            raise ConfigError(f"{file}: unknown setting {name}; known are {', '.join(sorted(TOML))}")
        else:
            values[setting] = tuple(value) if isinstance(value, list) else value
    return values


def _build(values: Mapping[str, Any]) -> Config:
    """Group the settings by policy and make the Config."""
    top: dict[str, Any] = {}
    groups: dict[str, dict[str, Any]] = {}
    for setting, value in values.items():
        policy, _, name = setting.partition(".")
        if name:
            groups.setdefault(policy, {})[name] = value
        else:
            top[policy] = value
    for policy, settings in groups.items():
        address = ADDRESS_OF.get(policy)
        if address is None or settings.get(address) or settings.get("cluster"):
            top[policy] = _make(POLICIES[policy], policy, settings)
    return Config(**top)


def _make(policy: type[P], name: str, settings: Mapping[str, Any]) -> P:
    for item in fields(policy):  # type: ignore[arg-type]  # every policy is a dataclass
        value = settings.get(item.name)
        wants_text = str(item.type).startswith("str")
        if value is not None and wants_text and not isinstance(value, str):
            raise ConfigError(f"{name}.{item.name} = {'…' if item.name in SECRETS else repr(value)}: expected text")
    return policy(**settings)
