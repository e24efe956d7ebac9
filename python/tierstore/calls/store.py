"""What every store is made of, and what the roster asks of each: `stores/__init__.py` and the facade walk nothing else.

class NoteStore(BaseStore[NoteParts]):
    _parts_class = NoteParts

    async def get(self, id: str, *, timeout: float | None = None) -> Note | None:
        with self._operation("get", id, timeout, "read") as operation:
            return await self._scope.get(self._parts.by_id, id, deadline=operation.deadline)
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from tierstore.backends.pairs import Pairs
from tierstore.calls.operation import Budget, Operation, Operations, Shown, whole
from tierstore.calls.scope import Inside, Scope
from tierstore.config import Config
from tierstore.errors import UnsupportedError
from tierstore.runtime import Deadline, Job, Runtime
from tierstore.telemetry import Gauged, Series, Telemetry, Total
from tierstore.tiers.blobs import BlobTier
from tierstore.tiers.engine import Engine


@dataclass(frozen=True, slots=True)
class Ground:
    """What stores are built on: one for all stores of an open `Store`."""

    engine: Engine
    blobs: BlobTier
    runtime: Runtime
    telemetry: Telemetry
    config: Config
    pairs: Mapping[str, Pairs]
    """By the name of a store: where its pairs lie outside the database."""


class Parts:
    """What a store has once, whatever the scope: its kinds, its counters, its background work. Each store extends it.

    The owner of the tiers guarantees: one instance for an open `Store`, made within its loop; every job under one supervisor, which
    starts a failed one again; `flush` once more after the jobs have stopped and before the tiers close.
    """

    logged: ClassVar[bool] = False
    """Whether each call is a line of the log, at DEBUG."""

    def __init__(self, ground: Ground, name: str) -> None:
        self.name = name
        """The roster's name of the store: the attribute of `Store`, the first word of its spans, the label of its metrics."""
        self.engine, self.blobs, self.runtime = ground.engine, ground.blobs, ground.runtime
        given = name, ground.runtime, ground.telemetry, ground.config.deadlines
        how: Any = {"shown": self.shown, "logged": self.logged}
        self.operations = Operations(*given, **how)
        self.operations_inside = Operations(*given, prefix="transaction.", **how)

    def shown(self, key: object) -> Shown:
        """What is shown of a call's key: the whole of it in errors, and nothing in spans and logs."""
        return whole(key)

    async def open(self, deadline: Deadline) -> None:
        """Once, before the jobs and the first call: the tiers are open."""

    def jobs(self) -> Mapping[str, Job]:
        """Background work, by a name of its own. A step MUST end within its own deadline."""
        return {}

    async def flush(self, deadline: Deadline) -> None:
        """Write down what only this process knows. It MUST be safe at any time, and cheap where there is nothing."""

    def totals(self) -> Mapping[Total, int]:
        """Counters that only rise, for telemetry."""
        return {}

    def counts(self) -> Mapping[Series, int]:
        """Counters of its own that only rise, for telemetry, beside those of its reads and calls."""
        return {}

    def levels(self) -> Mapping[Gauged, int]:
        """What goes up and down, for telemetry."""
        return {}

    async def warnings(self, deadline: Deadline) -> Sequence[str]:
        """What is not wrong yet, in words, for health. It MUST NOT raise."""
        return ()

    async def referenced(self, digests: Sequence[str], deadline: Deadline) -> set[str]:
        """Those of the digests whose content the store still needs: a sweep removes what no store names.

        It MUST see every committed row, and count as needed whatever can be restored. A store without content returns the empty set.
        """
        raise NotImplementedError(f"{type(self).__name__}.referenced")


P = TypeVar("P", bound=Parts)
T = TypeVar("T", bound="BaseStore[Any]")


class BaseStore(Generic[P]):
    """One store in one scope: cheap to make, the parts are shared. Its public calls are coroutines.

    A store MUST read and write by `_scope` alone in every call that is offered inside transactions, and MUST begin every public call
    with `_operation`. What it names `hit_<call>` returns the result of that call from L1, or None, without a coroutine.
    """

    _parts_class: ClassVar[type[Parts]]

    def __init__(self, parts: P, scope: Scope) -> None:
        self._parts = parts
        self._scope = scope
        self._operations = parts.operations_inside if scope.is_inside else parts.operations

    async def warm(self, limit: int = 100, *, timeout: float | None = None) -> int:
        """Load what is most used into the caches, at most `limit` records, and return how many."""
        with self._operation("warm", None, timeout, "bulk", inside=False):
            return 0

    async def statistics(self, *, timeout: float | None = None) -> Any:
        """Return counts of what the store holds; None if it counts nothing."""
        with self._operation("statistics", None, timeout, "search"):
            return None

    # For the calls of a store

    def _operation(
        self, name: str, key: object, timeout: float | None, budget: Budget, *, inside: bool = True
    ) -> Operation:
        """What surrounds a public call. UnsupportedError where it is not offered `inside` a transaction."""
        if not inside and self._scope.is_inside:
            text = f"{name} is not available inside a transaction; call it on the store"
            raise UnsupportedError(text, store=self._parts.name, operation=name)
        return self._operations.begin(name, key, timeout, budget)

    @asynccontextmanager
    async def _begin(self, cls: type[T], timeout: float | None) -> AsyncIterator[T]:
        """A transaction with the calls of this store on it; `cls` is that store with `OpenTransaction` before it."""
        with self._operation("transaction", None, timeout, "write", inside=False) as operation:
            async with self._parts.engine.transaction(deadline=operation.deadline) as transaction:
                yield cls(self._parts, Inside(transaction))
