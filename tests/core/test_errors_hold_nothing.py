"""Errors about a content name the place of the fault and what is expected there, and hold no value of it: a schema may hold secrets."""

from __future__ import annotations

import base64
import json

import orjson
import pytest

from tests.said import behind, said
from tierstore import Record, codec
from tierstore.calls.lines import from_line
from tierstore.codec import u8
from tierstore.errors import StorageError, ValidationError
from tierstore.plan.pointer import pointer
from tierstore.plan.values import check_metadata, check_tags, describe
from tierstore.stores.schemas.registration import check_items
from tierstore.stores.schemas.validation import check_content

SECRET = "s3cr3t w0rd"
WORD = "s3cr3t"
LIMIT = 1_500


def record(**changed: object) -> dict[str, object]:
    return {"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}], **changed}


def field(**changed: object) -> dict[str, object]:
    return record(fields=[{"name": "a", "type": "int", **changed}])


AVRO = [
    SECRET,
    [SECRET],
    ["int", SECRET],
    {"type": SECRET},
    {"type": [SECRET]},
    {"type": {"type": SECRET}},
    record(name=SECRET),
    record(name=[SECRET]),
    record(namespace=SECRET),
    record(namespace={SECRET: SECRET}),
    record(aliases=[SECRET]),
    record(aliases=SECRET),
    record(fields=SECRET),
    record(fields=[SECRET]),
    field(name=SECRET),
    field(type=SECRET),
    field(type=["int", {"type": "enum", "name": "E", "symbols": [SECRET]}]),
    field(default=SECRET),
    field(default={"a": SECRET}),
    field(order=SECRET),
    field(aliases=[SECRET]),
    field(type={"type": "fixed", "name": "F", "size": SECRET}),
    field(type={"type": "array", "items": SECRET}),
    field(type={"type": "map", "values": [SECRET]}),
    record(fields=[{"name": WORD, "type": "int"}] * 2),
    [record(name=WORD), record(name=WORD)],
    {"type": "enum", "name": "E", "symbols": ["A"], "default": SECRET},
    {"type": "enum", "name": "E", "symbols": [WORD, WORD]},
    {"type": "enum", "name": "E", "symbols": SECRET},
]
JSON_SCHEMA = [
    SECRET,
    [SECRET],
    {"$schema": SECRET},
    {"$schema": [SECRET]},
    {"type": SECRET},
    {"type": {"a": SECRET}},
    {"type": ["string", SECRET]},
    {"properties": SECRET},
    {"properties": [SECRET]},
    {"properties": {"a": SECRET}},
    {"required": SECRET},
    {"required": [WORD, WORD]},
    {"required": [{"a": SECRET}]},
    {"minLength": SECRET},
    {"multipleOf": SECRET},
    {"allOf": SECRET},
    {"items": SECRET},
    {"$anchor": SECRET},
    {"$ref": [SECRET]},
    {"dependentRequired": {"a": [SECRET, SECRET]}},
    {"description": [SECRET]},
    {"$schema": "http://json-schema.org/draft-07/schema#", "pattern": f"({SECRET}"},
    {"$schema": "http://json-schema.org/draft-07/schema#", "items": [SECRET]},
    {"$schema": "http://json-schema.org/draft-04/schema#", "id": [SECRET]},
    {"$schema": "http://json-schema.org/draft-04/schema#", "exclusiveMinimum": SECRET},
]
PROTOBUF = [
    f'syntax = "{SECRET}";',
    f'edition = "{SECRET}";',
    f"syntax = {WORD};",
    f'syntax = "proto3"; {WORD}',
    f'syntax = "proto3"; import {WORD};',
    f'syntax = "proto3"; import "{SECRET}',
    f'syntax = "proto3"; package "{SECRET}";',
    f'syntax = "proto3"; message M {{ string a = {WORD}; }}',
    f'syntax = "proto3"; message M {{ string a = 1 [default = {WORD} }}',
    f'syntax = "proto3"; enum {WORD} {{ option allow_alias = true; A = 0; }}',
    f'syntax = "proto3"; enum {WORD} {{ option allow_alias = false; A = 0; }}',
    f'syntax = "proto3"; option a = "{SECRET}" {WORD};',
    f'syntax = "proto3"; // {SECRET}\n\x01',
]
NOT_JSON = [
    f'{{"a": "{SECRET}" x}}',
    f'{{"a": "{SECRET}',
    f'{{"{WORD}": {WORD}}}',
    f'"{SECRET}" "{SECRET}"',
    f'["{SECRET}", 1e999]',
    f'["{SECRET}", NaN]',
    f'"{SECRET}\\ud800"',
]
CONTENTS = [
    *(("avro", json.dumps(one)) for one in AVRO),
    *(("jsonschema", json.dumps(one)) for one in JSON_SCHEMA),
    *(("protobuf", one) for one in PROTOBUF),
    *((kind, one) for one in NOT_JSON for kind in ("avro", "jsonschema")),
    *(("json", one) for one in NOT_JSON if "1e999" not in one),
]


@pytest.mark.parametrize(("schema_type", "content"), CONTENTS)
def test_an_error_about_content_holds_no_value_of_it(schema_type, content):
    with pytest.raises(ValidationError) as caught:
        check_content(schema_type, content.encode())
    assert caught.value.place is not None
    assert WORD not in said(caught.value).lower()
    assert list(behind(caught.value)) == [caught.value]


@pytest.mark.parametrize("schema_type", ["avro", "jsonschema", "protobuf"])
def test_an_error_about_large_content_is_short(schema_type):
    long = "x" * 100_000
    contents = {
        "avro": [record(name="-" + long), record(fields=[{"name": long, "type": "int"}] * 2), long],
        "jsonschema": [{"properties": {long: {"type": 5}}}, {"type": long}, {"type": {long: long}}],
        "protobuf": [f'syntax = "{long}";', f"{long}", f'syntax = "proto3"; message M {{ {long} }}'],
    }
    for value in contents[schema_type]:
        content = value if isinstance(value, str) and schema_type == "protobuf" else json.dumps(value)
        with pytest.raises(ValidationError) as caught:
            check_content(schema_type, content.encode())
        assert len(str(caught.value)) < LIMIT


def test_the_name_in_a_place_is_short_and_in_one_line():
    assert pointer(["properties", "a" * 500, "type"]) == f"/properties/{'a' * 59}…/type"
    assert pointer(["a\nb\x1b[2J\u202e", 7]) == "/a\\u000ab\\u001b[2J\\u202e/7"
    assert len(pointer(["x" * 80] * 5_000)) < LIMIT
    assert pointer([*range(8), *range(100), *range(8)]) == f"/{'/'.join('01234567')}/…/{'/'.join('01234567')}"


@pytest.mark.parametrize(
    "refused",
    [
        lambda: check_metadata({"a": SECRET, "b": {SECRET}}),
        lambda: check_metadata({"a": {(SECRET,): 1}}),
        lambda: check_metadata([SECRET]),
        lambda: check_tags([[SECRET]]),
        lambda: check_tags(5),
        lambda: check_tags(SECRET),
        lambda: describe({"tags": SECRET}, "", ()),
        lambda: describe({"tags": [SECRET * 100]}, "", ()),
        lambda: describe({}, SECRET + "\0", ()),
        lambda: check_items(SECRET),
        lambda: check_items({"content": SECRET}),
        lambda: check_items([SECRET]),
        lambda: check_items([[SECRET]]),
    ],
)
def test_an_error_about_metadata_and_batches_holds_no_value_of_it(refused):
    with pytest.raises(ValidationError) as caught:
        refused()
    assert WORD not in said(caught.value)


def line(**changed: object) -> bytes:
    content = base64.b64encode(SECRET.encode()).decode()
    return orjson.dumps({"id": SECRET, "digest": SECRET, "size": len(SECRET), "content": content, **changed})


@pytest.mark.parametrize(
    "exported",
    [
        line(),
        line(size=SECRET),
        line(size=[SECRET]),
        line(size=3),
        line(content=SECRET),
        line(content=[SECRET]),
        line(content="*" * 16),
        line()[:-1],
        orjson.dumps([SECRET]),
        orjson.dumps(SECRET),
        orjson.dumps({"id": SECRET}),
    ],
)
def test_an_error_about_an_exported_line_holds_no_value_of_it(exported):
    with pytest.raises(StorageError) as caught:
        from_line(exported, 7, 1_000)
    assert "line 7" in str(caught.value)
    assert WORD not in said(caught.value)
    assert list(behind(caught.value)) == [caught.value]


DIGITS = str(987_654_321).encode()


class Small(Record, kind=0xE0E1, revision=1):
    number: u8
    name: str = ""


@pytest.mark.parametrize(
    "refused",
    [
        lambda: codec.encode(Small(number=987_654_321)),
        lambda: codec.bincode_encode(987_654_321, u8),
        lambda: codec.bincode_encode({"a": 987_654_321}, dict[str, u8]),
        lambda: codec.msgpack_encode({"a": 987_654_321 << 64}),
        lambda: codec.msgpack_decode(codec.msgpack_encode({987_654_321: 1})),
        lambda: codec.msgpack_decode(b"\xa9" + DIGITS + b"\xc1"),
        lambda: codec.bincode_decode(b"\x09" + DIGITS + b"\xff", str),
        lambda: codec.bincode_decode(b"\x09" + DIGITS[:8] + b"\xff", str),
    ],
)
def test_an_error_of_the_codec_holds_no_value(refused):
    with pytest.raises(StorageError) as caught:
        refused()
    assert "98765" not in said(caught.value)
