"""What the schema store has once, in whatever scope its calls run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tierstore.calls.store import Ground, Parts
from tierstore.calls.usage import Usage
from tierstore.errors import StorageError
from tierstore.runtime import Deadline, Job
from tierstore.stores.schemas.edit import Answer, Edit, edit_each
from tierstore.stores.schemas.kinds import Kinds
from tierstore.stores.schemas.model import Schema
from tierstore.stores.schemas.register import register_each
from tierstore.stores.schemas.registration import Registration
from tierstore.stores.schemas.search import TextIndex
from tierstore.telemetry import Total
from tierstore.tiers.group_commit import GroupCommit
from tierstore.tiers.transaction import Transaction


class SchemaParts(Parts):
    """`registered` and `deleted` count for telemetry."""

    def __init__(self, ground: Ground, name: str) -> None:
        super().__init__(ground, name)
        self.kinds = Kinds(ground.engine)
        self.registrations: GroupCommit[Registration, Schema] = GroupCommit(ground.engine, self._register_each)
        self.edits: GroupCommit[Edit, Schema | bool] = GroupCommit(ground.engine, self._edit_each)
        self.texts = TextIndex(ground.engine, ground.runtime)
        self.usage = Usage(name, ground.engine, lambda: self.operations.deadline("bulk"))
        self.registered = self.deleted = 0

    def jobs(self) -> Mapping[str, Job]:
        return {"access counts": self.usage.flush}

    async def flush(self, deadline: Deadline) -> None:
        await self.usage.flush(deadline)

    def totals(self) -> Mapping[Total, int]:
        counted = self.engine.statistics(self.name)
        return {
            "schema_registry.cache.l1.hits": counted["l1_hits"],
            "schema_registry.cache.l2.hits": counted["l2_hits"],
            "schema_registry.cache.misses": counted["loads"],
            "schema_registry.schemas.registered": self.registered,
            "schema_registry.schemas.fetched": sum(kind.lookups() for kind in self.kinds.all),
            "schema_registry.schemas.deleted": self.deleted,
        }

    async def referenced(self, digests: Sequence[str], deadline: Deadline) -> set[str]:
        fetch = self.engine.reading(deadline, read="latest")
        return {digest for (digest,) in await fetch("schemas.referenced", {"digests": list(digests)})}

    async def _register_each(
        self, write: Transaction, registrations: Sequence[Registration]
    ) -> list[Schema | StorageError]:
        return await register_each(write, self.kinds, registrations)

    async def _edit_each(self, write: Transaction, edits: Sequence[Edit]) -> list[Answer]:
        return await edit_each(write, self.kinds, edits)
