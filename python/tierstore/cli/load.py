"""`tierstore load-test`: callers that read and write for a while, and what they saw."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections import defaultdict
from collections.abc import Awaitable

from tierstore.cli.output import Output
from tierstore.errors import StorageError
from tierstore.plan.schemas import SchemaState
from tierstore.store import Store
from tierstore.stores.schemas import Schema, SchemaItem

SUBJECTS = 1000
CONTENT = b'{"type": "object", "properties": {"load": {"type": "integer"}}}'
SEEDED_AT_ONCE = 100
OPPOSITE: dict[SchemaState, SchemaState] = {"active": "deprecated", "deprecated": "active"}
PARETO = 1.16
"""The exponent at which a fifth of the keys gets four fifths of the reads."""


class LoadTest:
    """`concurrency` callers; each call is a write with probability `writes`. Keys are drawn with a Pareto skew."""

    def __init__(self, store: Store, out: Output, concurrency: int, writes: float) -> None:
        self._schemas = store.schemas
        self._out = out
        self._concurrency = concurrency
        self._writes = writes
        self._latencies: defaultdict[str, list[float]] = defaultdict(list)
        self._errors: defaultdict[str, int] = defaultdict(int)

    async def run(self, duration_s: float) -> None:
        """Seed, run, print a row an operation."""
        schemas = await self._seed()
        ids = [schema.id for schema in schemas]
        end = time.perf_counter() + duration_s
        async with asyncio.TaskGroup() as group:
            for number in range(self._concurrency):
                group.create_task(self._caller(random.Random(number), ids, schemas[number :: self._concurrency], end))
        self._show(duration_s)

    async def _seed(self) -> list[Schema]:
        seeded: list[Schema] = []
        for start in range(0, SUBJECTS, SEEDED_AT_ONCE):
            items: list[SchemaItem] = [
                {"subject": f"load-test/{number}", "version": "1.0.0", "content": CONTENT, "schema_type": "jsonschema"}
                for number in range(start, start + SEEDED_AT_ONCE)
            ]
            seeded += await self._schemas.register_many(items)
        return seeded

    async def _caller(self, chance: random.Random, ids: list[str], own: list[Schema], end: float) -> None:
        """Reads any schema; changes the state of its own, back and forth."""
        there = [(schema.id, OPPOSITE[schema.state]) for schema in own]
        back: list[tuple[str, SchemaState]] = [(schema.id, schema.state) for schema in own]
        changes = itertools.cycle((*there, *back))
        while time.perf_counter() < end:
            number = min(int(chance.paretovariate(PARETO)) - 1, len(ids) - 1)
            if own and chance.random() < self._writes:
                await self._timed("set_state", self._schemas.set_state(*next(changes)))
            elif chance.random() < 0.5:
                await self._timed("get", self._schemas.get(ids[number]))
            else:
                await self._timed("get_latest", self._schemas.get_latest(f"load-test/{number}"))
            await asyncio.sleep(0)  # an L1 hit never suspends: let the other callers run

    async def _timed(self, name: str, call: Awaitable[object]) -> None:
        started = time.perf_counter()
        try:
            await call
        except StorageError:
            self._errors[name] += 1
        self._latencies[name].append(time.perf_counter() - started)

    def _show(self, duration_s: float) -> None:
        rows = []
        for name, latencies in sorted(self._latencies.items()):
            latencies.sort()
            quantiles = {
                f"p{share} ms": latencies[min(len(latencies) - 1, len(latencies) * share // 100)] * 1e3
                for share in (50, 95, 99)
            }
            rows.append(
                {
                    "operation": name,
                    "calls/s": round(len(latencies) / duration_s),
                    **quantiles,
                    "errors": self._errors[name],
                }
            )
        self._out.table("operations", rows, title=f"{self._concurrency} callers, {duration_s:g} s")
