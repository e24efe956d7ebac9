"""Schemas by subject and semantic version: `store.schemas`.

Built by `SchemaStore(engine, blobs, runtime, telemetry, deadlines)`. Whoever owns the store starts `flush_access` as a job of the
runtime's supervisor, calls it once more before the tiers close, and gives `totals` to telemetry. `hit_get`, `hit_get_version` and
`hit_get_latest` answer from L1 without a coroutine, for the blocking face.
"""

from __future__ import annotations

from tierstore.plan.paging import Page
from tierstore.stores.schemas.calls import Id
from tierstore.stores.schemas.model import (
    Popular,
    Schema,
    SchemaInfo,
    SchemaPlacement,
    SchemaStatistics,
    SchemaType,
    SearchHit,
)
from tierstore.stores.schemas.store import SchemaStore
from tierstore.stores.schemas.transaction import SchemaTransaction

__all__ = [
    "Id",
    "Page",
    "Popular",
    "Schema",
    "SchemaInfo",
    "SchemaPlacement",
    "SchemaStatistics",
    "SchemaStore",
    "SchemaTransaction",
    "SchemaType",
    "SearchHit",
]
