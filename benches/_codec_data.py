"""The data sets of the codec's goals, as our records, as msgspec's structs (plain and tuned), and as plain values."""

from __future__ import annotations

import json
import random
import string
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
import xxhash

from tierstore import codec
from tierstore.records import Record

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
KEY = b"ts1:{00c0ffee:11}:schema:0190c9b0-0000-7000-8000-00000000002a"
SUM_BYTES = 8
PAGE_RECORDS = 100
STATES = ("draft", "active", "deprecated", "disabled", "archived")


class Ours(Record, kind=60900):
    id: str
    subject: str
    version: str
    schema_type: str
    state: str
    description: str
    content_digest: str
    row_version: int
    created_at: datetime
    updated_at: datetime
    tags: list[str]
    metadata: codec.JSON
    content: bytes


class Plain(msgspec.Struct):
    """What one writes without thinking of speed: the content is a dict."""

    id: str
    subject: str
    version: str
    schema_type: str
    state: str
    description: str
    content_digest: str
    row_version: int
    created_at: datetime
    updated_at: datetime
    tags: list[str]
    metadata: dict[str, Any]
    content: dict[str, Any]


class Tuned(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The fastest that msgspec offers: no names, raw bytes for what is seldom read, times as integers."""

    id: str
    subject: str
    version: str
    schema_type: str
    state: str
    description: str
    content_digest: str
    row_version: int
    created_at: int
    updated_at: int
    tags: msgspec.Raw
    metadata: msgspec.Raw
    content: bytes


class OurFiles(Record, kind=60901):
    name: str
    files: Mapping[str, bytes]


class TunedFiles(msgspec.Struct, array_like=True, frozen=True, gc=False):
    name: str
    files: dict[str, bytes]


class OurPage(Record, kind=60903):
    items: list[Ours]


class OurState(Record, kind=60902):
    value: int
    expires_at: datetime | None
    etag: str


def content(size: int) -> dict[str, Any]:
    """A JSON schema of about `size` bytes."""
    properties: dict[str, Any] = {}
    while len(json.dumps({"type": "object", "properties": properties})) < size:
        properties[f"field_{len(properties)}"] = {
            "type": "string",
            "description": "what this field holds",
            "maxLength": 64,
        }
    return {"type": "object", "properties": properties}


def values(size: int) -> dict[str, Any]:
    return {
        "id": "0190c9b0-0000-7000-8000-00000000002a",
        "subject": "orders.created",
        "version": "1.2.3",
        "schema_type": "jsonschema",
        "state": "active",
        "description": "an order was created",
        "content_digest": "ab" * 32,
        "row_version": 1_234_567,
        "created_at": NOW,
        "updated_at": NOW,
        "tags": ["orders", "production"],
        "metadata": {"team": "sales", "owner": "ann"},
        "content": content(size),
    }


def page(number: int, unseen: bool) -> list[dict[str, Any]]:
    """The values of 100 records, as a list of schemas has them: each with its id, versions and states that recur.

    With `unseen`, no version and no state stands in another record or page.
    """
    rows = []
    for row in range(PAGE_RECORDS):
        mark = f"{number:04x}{row:04x}"
        own = {
            "id": f"0190c9b0-0000-7000-8000-{mark:>012}",
            "version": f"1.{row}.0",
            "state": STATES[row % len(STATES)],
        }
        rows.append(
            {**values(1_000), **own, **({"version": f"1.2.{mark}", "state": f"active-{mark}"} if unseen else {})}
        )
    return rows


def ours_of(given: dict[str, Any]) -> Ours:
    return Ours(**{**given, "content": json.dumps(given["content"]).encode()})


def tuned_of(given: dict[str, Any]) -> Tuned:
    micros = int(NOW.timestamp() * 1_000_000)
    raws = {name: msgspec.Raw(ENCODER.encode(given[name])) for name in ("tags", "metadata")}
    content = json.dumps(given["content"]).encode()
    return Tuned(**{**given, "created_at": micros, "updated_at": micros, **raws, "content": content})


def plain_values() -> dict[str, Any]:
    """What MessagePack is given besides records, by what is most in it."""
    chance = random.Random(1)
    words = ["".join(chance.choices(string.ascii_lowercase, k=12)) for _ in range(1_000)]
    objects = [
        {"id": number, "name": word, "active": True, "score": chance.random(), "tags": ["a", "b"], "at": None}
        for number, word in enumerate(words[:300])
    ]
    return {
        "a small state value": {"value": 42, "etag": "etag-1", "at": None},
        "integers": [chance.randrange(-(2**40), 2**60) >> chance.randrange(60) for _ in range(1_000)],
        "floats": [chance.random() for _ in range(1_000)],
        "words": words,
        "words beyond ASCII": [f"é漢{word}" for word in words],
        "objects": objects,
        "lists in lists": [[chance.randrange(100) for _ in range(10)] for _ in range(200)],
        "50 files of 2 KB": {f"file_{number}.proto": b"m" * 2_048 for number in range(50)},
        "100 KB of text": {"text": "x" * 100_000},
        "100 KB of text beyond ASCII": {"text": "é漢" * 20_000},
    }


@dataclass
class Case:
    """One record in every form, encoded and not."""

    plain: Plain
    tuned: Tuned
    ours: Ours
    plain_bytes: bytes
    tuned_bytes: bytes
    ours_bytes: bytes
    untyped: dict[str, Any]


PLAIN_DECODER = msgspec.msgpack.Decoder(Plain)
TUNED_DECODER = msgspec.msgpack.Decoder(Tuned)
FILES_DECODER = msgspec.msgpack.Decoder(TunedFiles)
ENCODER = msgspec.msgpack.Encoder()


def summed(payload: bytes) -> bytes:
    """A frame as a cache would keep it: the sum, then the payload."""
    return xxhash.xxh3_64_digest(payload) + payload


def checked(frame: bytes) -> memoryview:
    """The payload of a frame whose sum fits."""
    payload = memoryview(frame)[SUM_BYTES:]
    if xxhash.xxh3_64_digest(payload) != frame[:SUM_BYTES]:
        raise ValueError("damaged")
    return payload


def case(size: int) -> Case:
    given = values(size)
    plain, tuned, ours = Plain(**given), tuned_of(given), ours_of(given)
    untyped = {**given, "created_at": NOW.isoformat(), "updated_at": NOW.isoformat()}
    return Case(
        plain=plain,
        tuned=tuned,
        ours=ours,
        plain_bytes=ENCODER.encode(plain),
        tuned_bytes=summed(ENCODER.encode(tuned)),
        ours_bytes=codec.encode(ours, key=KEY),
        untyped=untyped,
    )
