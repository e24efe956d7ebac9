"""PostgreSQL: the primary, its replicas, the pool."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from tierstore.config.check import check, require
from tierstore.config.setting import Policy, named

SCHEMES = ("postgres://", "postgresql://")
MIN_CONNECTIONS = 10
LEAST_POOL = 4


@dataclass(frozen=True, slots=True, repr=False)
class PostgresConfig(Policy):
    """PostgreSQL: the primary, its replicas and the pool. All times in seconds.

    `max_connections` is the limit for callers, at the primary and at each replica; jobs and uploads use up to 5 more at the primary.
    """

    url: str = field(
        metadata=named("DATABASE_URL", "backend.url", schemes=SCHEMES, address=True, opens=True),
    )
    """The address of the primary. It may name several hosts and `target_session_attrs`."""
    replicas: tuple[str, ...] = field(
        default=(),
        metadata=named("DATABASE_REPLICA_URLS", "backend.replicas", schemes=SCHEMES, address=True),
    )
    """The addresses of read replicas."""
    migrate_url: str | None = field(
        default=None,
        metadata=named("DATABASE_MIGRATE_URL", "backend.migrate_url", schemes=SCHEMES, address=True),
    )
    """The address for migrations: one that does not lead through a pooler, or a role that may create tables. None: `url`."""
    pooled: Literal["auto", True, False] = field(default="auto", metadata=named("DATABASE_POOLED", "backend.pooled"))
    """Whether `url` and `replicas` lead to a pooler in transaction mode, where nothing can be prepared. "auto" finds out."""
    schema: str = field(default="public", metadata=named("DATABASE_SCHEMA", "backend.schema"))
    """The PostgreSQL schema that holds the tables."""
    max_connections: int = field(
        default=50, metadata=named("DATABASE_MAX_CONNECTIONS", "pool.max_connections", least=LEAST_POOL)
    )
    """The most connections of the pool to the primary, and of the pool to each replica."""
    min_connections: int | None = field(
        default=None, metadata=named("DATABASE_MIN_CONNECTIONS", "pool.min_connections", least=0)
    )
    """The connections that a pool keeps open. None: 10, or `max_connections` if that is less."""
    acquire_timeout: float = field(
        default=3, metadata=named("DATABASE_ACQUIRE_TIMEOUT_SECONDS", "pool.acquire_timeout_secs")
    )
    """How long a call waits for a free connection."""
    idle_timeout: float = field(default=600, metadata=named("DATABASE_IDLE_TIMEOUT_SECONDS", "pool.idle_timeout_secs"))
    """After how long an unused connection above `min_connections` is closed."""
    max_lifetime: float = field(default=1800, metadata=named("DATABASE_MAX_LIFETIME_SECONDS", "pool.max_lifetime_secs"))
    """After how long a connection is replaced."""
    statement_timeout: float = field(
        default=3, metadata=named("DATABASE_STATEMENT_TIMEOUT_SECONDS", "pool.statement_timeout_secs")
    )
    """The server's limit for a statement of a call without a `timeout=` of its own; bulk calls have that of their deadline."""

    def __post_init__(self) -> None:
        check(self, "postgres.")
        is_name = re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", self.schema) is not None
        require("postgres.schema", self.schema, is_name, "a lower-case SQL name of at most 63 characters")
        least, most = self.min_connections, self.max_connections
        if least is None:
            object.__setattr__(self, "min_connections", min(MIN_CONNECTIONS, most))
        else:
            require("postgres.min_connections", least, least <= most, f"at most max_connections ({most})")
