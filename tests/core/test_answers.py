"""Whatever the library answers is plain data and JSON by one function: every type of field, however deep, and what it exposes."""

from __future__ import annotations

import base64
import enum
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import pytest

import tierstore
from tests.core.golden_records import everything
from tierstore import codec
from tierstore.plan.paging import Page
from tierstore.records import Record, field
from tierstore.stores.schemas import Schema, SchemaInfo, SchemaStatistics, SearchHit

WHEN = datetime(2026, 1, 31, 12, 0, 0, 500_000, tzinfo=timezone(timedelta(hours=2)))


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Part(Record):
    name: str
    body: bytes


class Held(Record, kind=60200):
    parts: Sequence[Part]
    by_name: Mapping[str, Part]
    pair: tuple[int, Part]
    free: codec.JSON
    secret: str = field(default="s", exposed=False)

    @property
    @tierstore.exposed
    def count(self) -> int:
        return len(self.parts)

    @property
    def other(self) -> int:
        return 0


PART = Part("p", b"\xff\x00")
HELD = Held([PART], {"a": PART}, (1, PART), {"deep": [1, {"x": None}]})
PLAIN_PART = {"name": "p", "body": b"\xff\x00"}
JSON_PART = {"name": "p", "body": "/wA="}


@pytest.mark.parametrize("held", [HELD, Held.from_bytes(codec.encode(HELD))], ids=["made", "received"])
def test_a_record_is_plain_however_deep(held):
    assert held.asdict() == {
        "parts": [PLAIN_PART],
        "by_name": {"a": PLAIN_PART},
        "pair": (1, PLAIN_PART),
        "free": {"deep": [1, {"x": None}]},
        "count": 1,
    }
    assert json.loads(held.to_json()) == {
        "parts": [JSON_PART],
        "by_name": {"a": JSON_PART},
        "pair": [1, JSON_PART],
        "free": {"deep": [1, {"x": None}]},
        "count": 1,
    }


def test_replace_keeps_what_is_not_exposed():
    assert HELD.replace(pair=(2, PART)) == Held([PART], {"a": PART}, (2, PART), HELD.free, "s")
    assert Held([], {}, (1, PART), None, "kept").replace(free=1).secret == "kept"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("é\n", "é\n"),
        (b"\xff", "/w=="),
        pytest.param(memoryview(b"ab"), "YWI=", id="memoryview"),
        (bytearray(b"ab"), "YWI="),
        (2**127, 2**127),
        (float("nan"), None),
        (float("-inf"), None),
        (1.5, 1.5),
        (True, True),
        (WHEN, "2026-01-31T10:00:00.500000Z"),
        (datetime(2026, 1, 31, tzinfo=UTC), "2026-01-31T00:00:00Z"),
        (datetime(2026, 1, 31), "2026-01-31T00:00:00"),  # noqa: DTZ001
        (date(2026, 1, 31), "2026-01-31"),
        (timedelta(days=1, seconds=2, microseconds=500_000), "P1DT2.5S"),
        (-timedelta(seconds=1), "-P0DT1S"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Decimal("1.50"), "1.50"),
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        ((1, [2, {3}]), [1, [2, [3]]]),
    ],
    ids=repr,
)
def test_how_each_type_is_written(value, written):
    assert json.loads(tierstore.to_json(value)) == written


@pytest.mark.parametrize(
    ("key", "written"),
    [
        ("a", "a"),
        (1, "1"),
        (True, "true"),
        (None, "null"),
        (1.5, "1.5"),
        (b"a", "YQ=="),
        (Colour.RED, "red"),
        (UUID(int=0), str(UUID(int=0))),
    ],
)
def test_how_a_key_is_written(key, written):
    assert json.loads(tierstore.to_json({key: 1})) == {written: 1}
    assert tierstore.to_plain({key: 1}) == {key: 1}


def test_a_key_that_json_cannot_write_is_named():
    with pytest.raises(TypeError, match=r"key must be str .* not tuple"):
        tierstore.to_json({(1, 2): 3})


@pytest.mark.parametrize("value", [object(), len, [{"a": object()}]], ids=["object", "function", "within"])
def test_what_is_no_answer_is_refused(value):
    with pytest.raises(TypeError, match=r"builtins\.\w+ cannot be converted"):
        tierstore.to_plain(value)


def test_every_type_of_field_has_json():
    record = everything()
    written = json.loads(record.to_json())
    assert set(written) == set(record.asdict()) == set(type(record).__match_args__)
    assert (written["huge"], written["when"], written["span"]) == (
        2**128 - 1,
        "2026-11-21T01:02:03.456789Z",
        "-P2DT86399.999999S",
    )
    assert written["files"]["a.txt"] == "QQ=="
    assert written["lazy"] == [{"x": 4, "y": 1.5}, {"x": 5, "y": 1.5}]


NOW = datetime(2026, 1, 31, tzinfo=UTC)
FIELDS = (
    "i",
    "orders",
    "1.0.0",
    "json",
    "active",
    '{"tags":["a"],"description":"d","x":1}',
    "0",
    2,
    "inline",
    7,
    NOW,
    NOW,
)
SCHEMA = Schema(*FIELDS, b"{}")
INFO = SchemaInfo(*FIELDS, None)


def test_a_schema_shows_its_metadata_as_what_it_is():
    shown = SCHEMA.asdict()
    assert (shown["metadata"], shown["tags"], shown["description"]) == (SCHEMA.metadata, ("a",), "d")
    assert (shown["content"], shown["created_at"]) == (b"{}", NOW)
    assert "metadata_json" not in shown
    written = json.loads(SCHEMA.to_json())
    assert written == shown | {
        "tags": ["a"],
        "content": "e30=",
        "created_at": "2026-01-31T00:00:00Z",
        "updated_at": "2026-01-31T00:00:00Z",
    }


def test_pages_and_hits():
    page = Page((SearchHit(INFO, 0.5),), "next")
    assert page.asdict() == {"items": ({"schema": INFO.asdict(), "score": 0.5},), "next": "next"}
    assert json.loads(page.to_json()) == {
        "items": [{"schema": json.loads(INFO.to_json()), "score": 0.5}],
        "next": "next",
    }
    items, cursor = page
    assert (items, cursor) == (page.items, "next")


def test_statistics_and_what_the_native_module_answers():
    statistics = SchemaStatistics(1, 1, 1, {"active": 1}, {}, 2, {}, {"l1": 0.5})
    assert statistics.asdict()["by_state"] == {"active": 1}
    assert json.loads(statistics.to_json())["hit_rates"] == {"l1": 0.5}
    placement = tierstore.SizeRouter().route(b"a")
    assert tierstore.to_plain(placement) == {"tier": "inline", "size": 1, "digest": placement.digest}
    cache = tierstore.Cache().stats()
    assert set(tierstore.to_plain(cache)) == {name for name in dir(cache) if not name.startswith("_")}
    file = tierstore.to_plain(tierstore.proto.parse_imports('syntax = "proto3"; import "a.proto";'))
    assert file["syntax"] == "proto3"
    assert file["imports"] == [{"path": "a.proto", "kind": "plain", "line": 1, "column": 20}]
    assert tierstore.to_plain(tierstore.VectorClock({"a": 1})) == {"a": 1}


def test_a_users_own_dataclass_and_named_tuple_within():
    @dataclass
    class Box:
        schema: Schema

    class Pair(NamedTuple):
        box: Box
        extra: Any

    plain = tierstore.to_plain(Pair(Box(SCHEMA), 1))
    assert plain["box"]["schema"]["content"] == b"{}"
    assert base64.b64decode(json.loads(tierstore.to_json(Pair(Box(SCHEMA), 1)))["box"]["schema"]["content"]) == b"{}"


def test_an_overriding_property_decides_whether_it_is_exposed():
    class Sub(Held):
        @property
        def count(self) -> int:
            return 5

        @property
        @tierstore.exposed
        def more(self) -> int:
            return 6

    shown = Sub([], {}, (1, PART), None).asdict()
    assert "count" not in shown
    assert shown["more"] == 6


def test_nothing_of_pydantic_is_imported_for_it():
    code = "import sys, tierstore; tierstore.Schema; tierstore.to_json([1]); print('pydantic' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
        == "False"
    )
