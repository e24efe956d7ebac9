"""S1-53: JSON beside the records' binary form, both ways, at three sizes of content. `make bench BENCH=serialization`"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from tierstore import codec
from tierstore.stores.schemas import Schema

SIZES = {"1 KB": 1_000, "10 KB": 10_000, "100 KB": 100_000}
KEY = b"ts1:{bench:1}:schema:1"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
LOADS = {"json": json.loads, "orjson": orjson.loads}
DUMPS = {"json": lambda value: json.dumps(value).encode(), "orjson": orjson.dumps}


def record(size: int) -> Schema:
    content = (b'{"type": "object", "properties": {}}' * (size // 36 + 1))[:size]
    return Schema(
        id="01890a5d-ac96-774b-bcce-b302099a8057",
        subject="orders.created",
        version="1.0.0",
        schema_type="jsonschema",
        state="active",
        metadata_json='{"tags":["production"]}',
        content_digest="0" * 64,
        content_size=size,
        placement="inline",
        row_version=7,
        created_at=NOW,
        updated_at=NOW,
        content=content,
    )


def fields_of(schema: Schema) -> dict[str, object]:
    return {name: getattr(schema, name) for name in Schema.__record_names__}


def plain(schema: Schema) -> dict[str, object]:
    """What JSON can carry: times as text, content as base64."""
    values = fields_of(schema) | {"content": base64.b64encode(schema.content).decode()}
    return values | {name: values[name].isoformat() for name in ("created_at", "updated_at")}  # type: ignore[attr-defined]


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("form", ["tierstore", *DUMPS])
def test_serialize(benchmark, form, size):
    schema = record(size)
    benchmark.group = f"serialize {size} bytes"
    if form == "tierstore":
        fields = fields_of(schema)
        buffer = benchmark(lambda: codec.encode(Schema(**fields), key=KEY))
    else:
        buffer = benchmark(lambda: DUMPS[form](plain(schema)))
    benchmark.extra_info["bytes"] = len(buffer)
    assert len(buffer) >= size


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("form", ["tierstore", *LOADS])
def test_deserialize(benchmark, form, size):
    """To the point where three fields have been read."""
    schema = record(size)
    benchmark.group = f"deserialize {size} bytes, read 3 fields"
    if form == "tierstore":
        buffer = codec.encode(schema, key=KEY)

        def run():
            found: Any = codec.decode(buffer, key=KEY)
            return found.subject, found.version, found.content
    else:
        buffer = DUMPS[form](plain(schema))

        def run():
            found = LOADS[form](buffer)
            return found["subject"], found["version"], base64.b64decode(found["content"])

    assert benchmark(run) == (schema.subject, schema.version, schema.content)
