"""What the schema store returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple, TypedDict

from tierstore.answers import Answer
from tierstore.layout import u64
from tierstore.plan.described import Described
from tierstore.plan.schemas import SchemaState
from tierstore.plan.values import Id
from tierstore.records import Record, field

SchemaType = Literal["json", "jsonschema", "avro", "protobuf"]
"""What the content of a schema is written in."""

SchemaPlacement = Literal["inline", "row", "object"]
"""Where its bytes are: in the row, in chunks beside it, in the object store."""


class _RequiredItem(TypedDict):
    subject: str
    version: str
    content: bytes


class SchemaItem(_RequiredItem, total=False):
    """One item of `register_many`: the arguments of `register`, of which `subject`, `version` and `content` are required."""

    schema_type: SchemaType
    metadata: Mapping[str, Any] | None
    description: str
    tags: Sequence[str]
    state: SchemaState
    id: Id | None


class Schema(Described, Record, kind=0xF001, revision=1):
    """One version of a subject, with its content.

    `placement` says where the bytes lie: "inline" in the row, "row" in chunks beside it, "object" in the object store. `row_version`
    rises with every change, over all schemas; pass it as `expected_version`. Times are aware, in UTC, by the database's clock.
    """

    id: str
    subject: str
    version: str
    schema_type: SchemaType
    state: SchemaState
    metadata_json: str = field(exposed=False)
    content_digest: str
    content_size: u64
    placement: SchemaPlacement
    row_version: u64
    created_at: datetime
    updated_at: datetime
    content: bytes


class SchemaInfo(Described, Record, kind=0xF002, revision=1):
    """A Schema without its content. `deleted_at` is None unless it was deleted and not restored."""

    id: str
    subject: str
    version: str
    schema_type: SchemaType
    state: SchemaState
    metadata_json: str = field(exposed=False)
    content_digest: str
    content_size: u64
    placement: SchemaPlacement
    row_version: u64
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None


class _SearchHit(NamedTuple):
    schema: SchemaInfo
    score: float


class SearchHit(Answer, _SearchHit):
    """`score` lies between 0 and 1: the mean over the words of how well each was found; 0 without a text."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class SchemaStatistics(Answer):
    """Schemas that are not deleted. `hit_rates` by tier ("l1", "l2") and "total", from 0 to 1, since the store was opened."""

    total_schemas: int
    active_schemas: int
    subjects: int
    by_state: Mapping[str, int]
    by_type: Mapping[str, int]
    content_bytes: int
    bytes_by_placement: Mapping[str, int]
    hit_rates: Mapping[str, float]


class _Popular(NamedTuple):
    id: str
    access_count: int


class Popular(Answer, _Popular):
    """A schema's id and how often it was read."""

    __slots__ = ()


class Derived(Record, kind=0xF003, revision=1):
    """What a key that is derived from a subject holds (a version's alias, the latest), ordered by the subject's row_version.

    The schema's own would not do: when the latest is deleted, the one before it has a lower row_version.
    """

    owner_version: u64
    schema: Schema
