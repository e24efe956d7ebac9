"""What the module store has once, in whatever scope its calls run."""

from __future__ import annotations

from collections.abc import Sequence

from tierstore.calls.store import Ground, Parts
from tierstore.runtime import Deadline
from tierstore.stores.modules.kinds import Kinds


class ModuleParts(Parts):
    """Its kinds."""

    def __init__(self, ground: Ground, name: str) -> None:
        super().__init__(ground, name)
        self.kinds = Kinds(ground.engine)

    async def referenced(self, digests: Sequence[str], deadline: Deadline) -> set[str]:
        fetch = self.engine.reading(deadline, read="latest")
        return {digest for (digest,) in await fetch("modules.referenced", {"digests": list(digests)})}
