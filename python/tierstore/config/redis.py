"""Redis or Valkey: one server, the primary that Sentinel names, or a cluster."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tierstore.config.check import check, refuse, require
from tierstore.config.setting import Policy, named

SCHEMES = ("redis://", "rediss://", "unix://", "valkey://", "valkeys://")
HIGHEST_PORT = 65_535


@dataclass(frozen=True, slots=True, repr=False)
class SentinelConfig(Policy):
    """Redis behind Sentinel. User name, password and database are those of the Redis servers; the sentinels have their own."""

    hosts: tuple[tuple[str, int], ...] = field(
        metadata=named("REDIS_SENTINEL_HOSTS", "cache.sentinel.hosts", opens=True)
    )
    """The sentinels as (host, port); in a variable or a file as `host:port,host:port`, an IPv6 address in brackets."""
    service: str = field(metadata=named("REDIS_SENTINEL_SERVICE", "cache.sentinel.service"))
    """The name under which the sentinels watch the primary."""
    password: str | None = field(
        default=None, metadata=named("REDIS_SENTINEL_PASSWORD", "cache.sentinel.password", secret=True)
    )
    """The password for the Redis servers."""
    username: str | None = field(default=None, metadata=named("REDIS_SENTINEL_USERNAME", "cache.sentinel.username"))
    """The user name for the Redis servers."""
    db: int = field(default=0, metadata=named("REDIS_SENTINEL_DB", "cache.sentinel.db", least=0))
    """The number of the database on the Redis servers."""
    sentinel_password: str | None = field(
        default=None,
        metadata=named("REDIS_SENTINEL_SENTINEL_PASSWORD", "cache.sentinel.sentinel_password", secret=True),
    )
    """The password at the sentinels."""
    sentinel_username: str | None = field(
        default=None, metadata=named("REDIS_SENTINEL_SENTINEL_USERNAME", "cache.sentinel.sentinel_username")
    )
    """The user name at the sentinels."""
    tls: bool = field(default=False, metadata=named("REDIS_SENTINEL_TLS", "cache.sentinel.tls"))
    """Whether the connections to the Redis servers use TLS."""
    sentinel_tls: bool = field(
        default=False, metadata=named("REDIS_SENTINEL_SENTINEL_TLS", "cache.sentinel.sentinel_tls")
    )
    """Whether the connections to the sentinels use TLS."""
    tls_ca_file: str | None = field(
        default=None, metadata=named("REDIS_SENTINEL_TLS_CA_FILE", "cache.sentinel.tls_ca_file")
    )
    """The certificates that are trusted, in a file; without one those of the operating system."""
    tls_cert_file: str | None = field(
        default=None, metadata=named("REDIS_SENTINEL_TLS_CERT_FILE", "cache.sentinel.tls_cert_file")
    )
    """The own certificate, for servers that ask for one."""
    tls_key_file: str | None = field(
        default=None, metadata=named("REDIS_SENTINEL_TLS_KEY_FILE", "cache.sentinel.tls_key_file")
    )
    """The private key of the own certificate."""
    tls_check_hostname: bool = field(
        default=True, metadata=named("REDIS_SENTINEL_TLS_CHECK_HOSTNAME", "cache.sentinel.tls_check_hostname")
    )
    """Whether a certificate must name the host, or the IP address by which the sentinels name a server."""

    def __post_init__(self) -> None:
        check(self, "redis.sentinel.")
        hosts: Any = self.hosts
        right = isinstance(hosts, tuple) and len(hosts) > 0 and all(map(_is_host, hosts))
        require("redis.sentinel.hosts", hosts, right, "host:port,host:port (an IPv6 address in brackets)")
        require("redis.sentinel.service", self.service, self.service != "", "the name of a service")
        files = (self.tls_ca_file, self.tls_cert_file, self.tls_key_file)
        on = self.tls or self.sentinel_tls
        require(
            "redis.sentinel.tls", self.tls, on or not any(files), "true, or sentinel_tls, where TLS files are given"
        )

    @property
    def server_options(self) -> Mapping[str, Any]:
        """What redis-py has to know for TLS to the servers; nothing without TLS."""
        return self._tls_options() if self.tls else {}

    @property
    def sentinel_options(self) -> Mapping[str, Any]:
        """The same for the sentinels."""
        return self._tls_options() if self.sentinel_tls else {}

    def _tls_options(self) -> Mapping[str, Any]:
        return {
            "ssl_ca_certs": self.tls_ca_file,
            "ssl_certfile": self.tls_cert_file,
            "ssl_keyfile": self.tls_key_file,
            "ssl_check_hostname": self.tls_check_hostname,
        }


def _is_host(one: Any) -> bool:
    if not isinstance(one, (tuple, list)) or len(one) != 2:
        return False
    host, port = one
    named_host = isinstance(host, str) and host != ""
    return named_host and isinstance(port, int) and not isinstance(port, bool) and 0 < port <= HIGHEST_PORT


@dataclass(frozen=True, slots=True, repr=False)
class RedisConfig(Policy):
    """Redis or Valkey: give one of `url`, `sentinel`, `cluster`. Times in seconds."""

    url: str | None = field(
        default=None, metadata=named("REDIS_URL", "cache.url", schemes=SCHEMES, address=True, opens=True)
    )
    """The address of a single server."""
    sentinel: SentinelConfig | None = None
    cluster: tuple[str, ...] | None = field(
        default=None,
        metadata=named("REDIS_CLUSTER_URLS", "cache.cluster", schemes=SCHEMES, address=True, opens=True),
    )
    """The addresses of some nodes of a cluster; the others are found through them."""
    ttl: float = field(default=3600, metadata=named("REDIS_TTL_SECONDS", "cache.ttl_seconds"))
    """How long a value stays in Redis."""
    prefix: str = field(default="", metadata=named("REDIS_PREFIX", "cache.prefix"))
    """The text that the name of every key and channel begins with, so that an ACL can be written for it: `~app:* &app:*` for `app:`. All
    processes that share a database need the same one."""
    soft_timeout: float = field(
        default=0.05, metadata=named("REDIS_SOFT_TIMEOUT_SECONDS", "cache.soft_timeout_seconds")
    )
    """How long a read waits for Redis before it asks the database."""
    hard_timeout: float = field(
        default=0.25, metadata=named("REDIS_HARD_TIMEOUT_SECONDS", "cache.hard_timeout_seconds")
    )
    """How long every other call waits for Redis."""
    required: bool = field(default=False, metadata=named("REDIS_REQUIRED", "cache.required"))
    """Whether opening a store fails while Redis does not answer. False: it warns, goes on without Redis, and connects later by itself."""
    ttl_by_kind: Mapping[str, float] = field(
        default_factory=dict, metadata=named("REDIS_TTL_BY_KIND", "cache.ttl_by_kind")
    )
    """The `ttl` of some kinds of record, by their names; in a variable as `module=60,…`."""

    def __post_init__(self) -> None:
        check(self, "redis.")
        given = [name for name in ("url", "sentinel", "cluster") if getattr(self, name)]
        require("redis", given, len(given) == 1, "given exactly one of url, sentinel and cluster")
        if re.search(r"[{}\s]", self.prefix):
            refuse("redis.prefix", self.prefix, "text without braces and white space")
