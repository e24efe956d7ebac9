"""Schemas by subject and semantic version: `store.schemas`.

model, kinds: what is returned and what is cached · reader, store: the calls · register, registration, edit, search, transfer: one verb each
reads, rows: queries and their rows · validation, avro: what content must be · parts: what the store has once

`hit_get`, `hit_get_version` and `hit_get_latest` read L1 without a coroutine, for the blocking face.
"""

from __future__ import annotations

from tierstore.plan.paging import Page
from tierstore.plan.values import Id
from tierstore.stores.schemas.model import (
    Popular,
    Schema,
    SchemaInfo,
    SchemaItem,
    SchemaPlacement,
    SchemaStatistics,
    SchemaType,
    SearchHit,
)
from tierstore.stores.schemas.store import SchemaStore, SchemaTransaction

__all__ = [
    "Id",
    "Page",
    "Popular",
    "Schema",
    "SchemaInfo",
    "SchemaItem",
    "SchemaPlacement",
    "SchemaStatistics",
    "SchemaStore",
    "SchemaTransaction",
    "SchemaType",
    "SearchHit",
]
