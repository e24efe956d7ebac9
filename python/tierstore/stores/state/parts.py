"""What the state store has once, in whatever scope its calls run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import orjson

from tierstore.backends.pairs import Pairs
from tierstore.calls.operation import Shown
from tierstore.calls.scope import Scope
from tierstore.calls.store import Ground, Parts
from tierstore.config import pairs_of
from tierstore.errors import StorageError, ValidationError
from tierstore.plan.state import check_ttl, pattern
from tierstore.runtime import Deadline, Job
from tierstore.stores.state import values
from tierstore.stores.state.envelope import Envelope
from tierstore.stores.state.tables import TablePairs, Tables
from tierstore.telemetry import Gauged, Series

log = logging.getLogger("tierstore")
HERE: Final = "sql"
ASK_EVERY_S, ASK_BUDGET_S = 15.0, 2.0
OUTAGE: Final = "state server"
SEALED_MOST: Final = b"\x03"
"""The highest first byte of a value that is not plain JSON."""


class StateParts(Parts):
    """`pairs`: where state lies. `hits` and `misses`: values that reads found or did not find; `peeks`: those of them without a span."""

    logged = True

    def __init__(self, ground: Ground, name: str) -> None:
        self.config = config = ground.config.state
        self._tables = Tables(ground.engine, config.prefix)
        self.is_in_database = name not in ground.pairs
        self.pairs: Pairs = ground.pairs.get(name, self._tables.outside)
        self._attributes = {"tierstore.backend": self.pairs.name}
        super().__init__(ground, name)
        self.envelope = Envelope(
            config.compress_min, config.encryption, most=config.max_value_bytes + 1, prefix=config.prefix
        )
        place = pairs_of(ground.config).get(name)
        self._place = HERE if place is None else place.named
        self._moved: str | None = None
        self.hits = self.misses = self.peeks = self._expired = 0
        self._counts_ends_at_the_server = ground.telemetry.on and not hasattr(self.pairs, "expired")
        self.default_ttl_ms = None if config.ttl is None else check_ttl(config.ttl)
        self._peek = self._peeking(ground)

    def _peeking(self, ground: Ground) -> Callable[[str], bytes | None]:
        """Read without a coroutine, where the driver can, and where no call needs a span."""
        peek: Callable[[str], bytes | None] | None = getattr(self.pairs, "peek", None)
        is_far = self.is_in_database and self.engine.records.remote
        if peek is None or is_far or ground.telemetry.spans:
            return _not_found
        if (owner := ground.runtime.owner_loop) is None:
            return peek
        is_here = owner.is_here
        return lambda key: peek(key) if is_here() else None

    # In a scope

    def within(self, scope: Scope) -> Pairs:
        """What is used in a scope."""
        return TablePairs(self._tables, scope) if scope.is_inside else self.pairs

    def peek_in(self, scope: Scope) -> Callable[[str], bytes | None]:
        """What is stored, if that can be had without waiting."""
        return _not_found if scope.is_inside else self._peek

    # Values

    def sealed(self, key: str, value: Any) -> bytes:
        """What is stored for a value. ValidationError for one that cannot be, or is too long."""
        data = values.encode(value)
        most = self.config.max_value_bytes
        if len(data) - data.startswith(values.RAW) > most:
            text = f"value must have at most {most:,} bytes (max_value_bytes of StateConfig), got {len(data):,}"
            raise ValidationError(text, place="value")
        return self.envelope.seal(key, data)

    def unsealed(self, key: str, data: bytes) -> bytes:
        """The encoded value that is stored as `data`. CorruptError if it does not open; only its `key` has the key, its text has not."""
        if data[:1] > SEALED_MOST:
            return data
        try:
            return self.envelope.open(key, data)
        except StorageError as error:
            error.key = key
            raise

    def opened(self, key: str, data: bytes, type: Any) -> Any:
        """The value that is stored as `data`."""
        data = self.unsealed(key, data)
        try:
            return values.decode(data, type)
        except StorageError as error:
            error.key = key
            raise

    def read(self, key: str, data: bytes, type: Any) -> Any:
        """The same, counted as a hit."""
        self.hits += 1
        return self.opened(key, data, type)

    def peeked(self, data: bytes) -> Any:
        """A value without more work than that, or None."""
        if data[:1] <= SEALED_MOST:
            return None
        self.peeks += 1
        return orjson.loads(data)

    def count(self, hits: int, asked: int) -> None:
        """Reads of values, and those that found one."""
        self.hits += hits
        self.misses += asked - hits

    def shown(self, key: object) -> Shown:
        """The key as an error's `key`, which no text repeats; the pattern of it in spans and logs."""
        if not isinstance(key, str):
            return Shown(None, self._attributes)
        return Shown(key, {**self._attributes, "tierstore.key_pattern": pattern(key)})

    # Background work

    async def open(self, deadline: Deadline) -> None:
        """Note in the database where state is, and say so if it was elsewhere when a store was last opened over it."""
        engine = self.engine
        try:
            rows = await engine.records.fetch("state.place", {}, deadline=deadline, primary=True)
            if (not rows or rows[0][0] != self._place) and not engine.read_only:
                await engine.statement("state.remember_place", {"place": self._place}, deadline)
        except StorageError as error:  # a database that takes no writes, or lacks the tables
            log.warning("where state was before is not known: %s", error)
            return
        if rows and rows[0][0] != self._place:
            self._moved = rows[0][0]
            log.warning("%s", self._moved_text())

    def jobs(self) -> Mapping[str, Job]:
        jobs = dict(self.pairs.jobs())
        if self._counts_ends_at_the_server:
            jobs["ends"] = self._ask_for_ends
        return jobs

    async def _ask_for_ends(self) -> float:
        """Telemetry cannot wait for an answer: it collects the last one."""
        self._expired = (await self.pairs.counts(self.runtime.deadline(ASK_BUDGET_S))).expired
        return ASK_EVERY_S

    def _moved_text(self) -> str:
        return (
            f"state lies in another place than before: now {self._place}, last {self._moved}. What is there stays there; "
            "`tierstore state export` and `import` move it"
        )

    # What there is to know

    async def warnings(self, deadline: Deadline) -> Sequence[str]:
        moved = [] if self._moved is None else [self._moved_text()]
        return [*moved, *await self.pairs.warnings(deadline)]

    async def referenced(self, digests: Sequence[str], deadline: Deadline) -> set[str]:
        return set()

    # For telemetry

    def counts(self) -> Mapping[Series, int]:
        name = self.name
        return {
            Series("tierstore.state.hits", name): self.hits + self.peeks,
            Series("tierstore.state.misses", name): self.misses,
            Series("tierstore.state.expired", name): self.expired(),
            Series("tierstore.calls", name, "get"): self.peeks,
        }

    def expired(self) -> int:
        """Values whose end was seen since the store was opened."""
        return int(getattr(self.pairs, "expired", self._expired))

    def levels(self) -> Mapping[Gauged, int]:
        found = {} if self.is_in_database else {Gauged("tierstore.up", self.name): self._is_up()}
        if (size := getattr(self.pairs, "size", None)) is not None:
            keys, taken = size()
            found |= {
                Gauged("tierstore.state.keys", self.name): keys,
                Gauged("tierstore.state.bytes", self.name): taken,
            }
        return found

    def _is_up(self) -> int:
        return int(OUTAGE not in self.runtime.outages)


def _not_found(_key: str) -> None:
    return None
