"""L1, the cache in the process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tierstore.config.check import check
from tierstore.config.objects import MIB
from tierstore.config.setting import Policy, named


@dataclass(frozen=True, slots=True, repr=False)
class CacheConfig(Policy):
    """L1, the cache in the process, of every store. Times in seconds."""

    max_entries: int = field(default=10_000, metadata=named("CACHE_L1_MAX_ENTRIES", "l1.max_entries", least=1))
    """The most records of one cached kind that it holds."""
    max_bytes: int = field(default=256 * MIB, metadata=named("CACHE_L1_MAX_BYTES", "l1.max_bytes", least=1))
    """The most memory for large content, in bytes."""
    ttl: float = field(default=3600, metadata=named("CACHE_L1_TTL_SECONDS", "l1.ttl_seconds"))
    """How long a value stays in the cache."""
    ttl_by_kind: Mapping[str, float] = field(
        default_factory=dict, metadata=named("CACHE_L1_TTL_BY_KIND", "l1.ttl_by_kind")
    )
    """The `ttl` of some kinds of record, by their names; in a variable as `schema=60,…`."""
    warm_on_start: bool = field(default=True, metadata=named("CACHE_WARM_ON_STARTUP", "l1.warm_on_start"))
    """Whether opening a store loads the records that were used most."""
    warm_size: int = field(default=100, metadata=named("CACHE_WARM_SIZE", "l1.warm_size", least=0))
    """How many records opening a store loads."""
    search_bytes: int = field(default=256 * MIB, metadata=named("CACHE_SEARCH_BYTES", "l1.search_bytes", least=0))
    """How much memory, in bytes, the words of all schemas may take for searches. With more text, or 0, the database searches."""

    def __post_init__(self) -> None:
        check(self, "cache.")
