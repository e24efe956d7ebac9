"""Switches for tiers whose address is given."""

from __future__ import annotations

from dataclasses import dataclass, field

from tierstore.config.check import check
from tierstore.config.setting import Policy, named


@dataclass(frozen=True, slots=True, repr=False)
class Gates(Policy):
    """Switches tiers off although their address is given. None: a tier is on where its address is given."""

    redis: bool | None = field(default=None, metadata=named("TIERSTORE_USE_REDIS", "gates.redis"))
    """False: Redis is not used."""
    objects: bool | None = field(default=None, metadata=named("TIERSTORE_USE_OBJECTS", "gates.objects"))
    """False: the object store is not used."""
    replicas: bool | None = field(default=None, metadata=named("TIERSTORE_USE_REPLICAS", "gates.replicas"))
    """False: the replicas are not used."""

    def __post_init__(self) -> None:
        check(self, "gates.")
