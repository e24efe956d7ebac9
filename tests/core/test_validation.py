"""Content against its type: what is sound passes, what is not names its place, and nothing is fetched."""

from __future__ import annotations

import contextlib
import json
import socket
from importlib import resources

import pytest

from tierstore import errors
from tierstore.plan.values import as_bytes
from tierstore.stores.schemas.validation import check_content, check_type

RECORD = b'{"type":"record","name":"Order","fields":[{"name":"id","type":"string"},{"name":"lines","type":%s}]}'


def refused(schema_type: str, content: bytes) -> errors.ValidationError:
    with pytest.raises(errors.ValidationError) as caught:
        check_content(schema_type, content)
    return caught.value


@pytest.mark.parametrize("content", [b"{}", b"[1, 2.5e3, null]", b'"text"', b" true ", b"[" * 512 + b"]" * 512])
def test_json_that_is_sound(content):
    check_content("json", content)


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b'{"a": }', "line 1, column 7"),
        (b'{"a": NaN}', "line 1, column 7"),
        (b'{\n  "a": 01\n}', "line 2"),
        (b"", "line 1, column 1"),
        (b'{"a": "\xff"}', "line 1"),
        (b"[" * 100_000, "line 1, column 513"),
        (b"{} {}", "line 1, column 4"),
    ],
)
def test_json_that_is_not(content, place):
    assert place in (refused("json", content).place or "")


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b'{"type": "objekt"}', "/type"),
        (b'{"properties": {"a/b": {"minimum": "x"}}}', "/properties/a~1b/minimum"),
        (b"[]", "/"),
        (b'{"$schema": "https://example.invalid/mine"}', "/$schema"),
        (b'{"$schema": 5}', "/$schema"),
        (b'{"$schema": "http://json-schema.org/draft-04/schema#", "exclusiveMinimum": 5}', "/"),
        (b'{"type": "object"', "line 1"),
    ],
)
def test_jsonschema_that_is_not(content, place):
    assert (refused("jsonschema", content).place or "").startswith(place)


def test_jsonschema_by_its_dialect():
    check_content("jsonschema", b'{"exclusiveMinimum": 5}')
    check_content(
        "jsonschema", b'{"$schema": "http://json-schema.org/draft-04/schema", "minimum": 5, "exclusiveMinimum": true}'
    )
    check_content("jsonschema", b"true")


def test_real_schemas_pass_and_nothing_is_fetched(monkeypatch):
    def no_network(*_args, **_kwargs):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    folder = resources.files("check_jsonschema").joinpath("builtin_schemas", "vendor")
    files = [entry for entry in folder.iterdir() if entry.name.endswith(".json")]
    assert len(files) > 20
    for file in files:
        check_content("jsonschema", file.read_bytes())
    check_content("jsonschema", b'{"$ref": "https://example.invalid/other.json"}')


@pytest.mark.parametrize(
    "content",
    [
        b'"string"',
        b'["null", "string"]',
        RECORD % b'{"type":"array","items":"int"}',
        RECORD % b'["null", "Order"]',
        b'{"type":"fixed","name":"Id","size":16}',
        b'{"type":"enum","name":"E","symbols":["A","B"],"default":"A"}',
        b'{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}',
    ],
)
def test_avro_that_is_sound(content):
    check_content("avro", content)


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"5", "/"),
        (RECORD % b'"unknown"', "/fields/1/type"),
        (RECORD % b'{"type":"array"}', "/fields/1/type"),
        (b'{"type":"record","name":"9A","fields":[]}', "/name"),
        (b'{"type":"record","name":"A"}', "/"),
        (
            b'{"type":"record","name":"A","fields":[{"name":"x","type":"int"},{"name":"x","type":"int"}]}',
            "/fields/1/name",
        ),
        (b'{"type":"enum","name":"E","symbols":["A","1"]}', "/symbols/1"),
        (b'{"type":"enum","name":"E","symbols":["A","A"]}', "/"),
        (b'[["null"]]', "/0"),
        (b'{"type":"fixed","name":"F","size":true}', "/size"),
        (b'{"type": "string"', "line 1"),
        (b'{"type":["null","int"]}', "/type"),
        (b'["int","null","int"]', "/2"),
        (b'[{"type":"array","items":"int"},{"type":"array","items":"long"}]', "/1"),
        (b'[{"type":"fixed","name":"A","size":1},{"type":"fixed","name":"A","size":1}]', "/1/name"),
        (b'{"type":"record","name":"long","fields":[]}', "/name"),
        (b'{"type":"record","name":"A","namespace":"a..b","fields":[]}', "/namespace"),
        (b'{"type":"record","name":"A","aliases":["b","1"],"fields":[]}', "/aliases/1"),
        (b'{"type":"record","name":"A","fields":[{"name":"a.b","type":"int"}]}', "/fields/0/name"),
        (b'{"type":"record","name":"A","fields":[{"name":"a","type":"int","order":["x"]}]}', "/fields/0/order"),
        (b'{"type":"enum","name":"E","symbols":["A"],"default":"B"}', "/default"),
    ],
)
def test_avro_that_is_not(content, place):
    assert (refused("avro", content).place or "").startswith(place)


ENUM = {"type": "enum", "name": "E", "symbols": ["A"]}
POINT = {
    "type": "record",
    "name": "P",
    "fields": [{"name": "x", "type": "int"}, {"name": "y", "type": "int", "default": 0}],
}
DEFAULTS: list[tuple[object, list[object], list[object]]] = [
    ("null", [None], [0, "null"]),
    ("boolean", [True], [1, None]),
    ("int", [-(2**31), 2**31 - 1], [2**31, 1.0, True, "1"]),
    ("long", [2**63 - 1], [2**63, 0.5]),
    ("double", [0, 0.5], [True, "NaN", None]),
    ({"type": "double"}, [0, 0.5], ["0"]),
    ("string", ["", "\u20ac"], [None, 1]),
    ("bytes", ["\u00ff"], ["\u0100", 1]),
    (["null", "int"], [None, 5], ["a"]),
    ({"type": "array", "items": "int"}, [[], [1]], [["a"], {}]),
    ({"type": "map", "values": ["null", "string"]}, [{"a": None}], [{"a": 1}, []]),
    ({"type": "fixed", "name": "F", "size": 2}, ["ab"], ["abc", 1]),
    (ENUM, ["A"], ["B", 0]),
    (POINT, [{"x": 1}, {"x": 1, "y": 2}], [{}, {"x": "1"}, []]),
]


def with_default(kind: object, default: object) -> bytes:
    return json.dumps(
        {"type": "record", "name": "R", "fields": [{"name": "a", "type": kind, "default": default}]}
    ).encode()


@pytest.mark.parametrize(("kind", "sound", "wrong"), DEFAULTS, ids=lambda value: str(value)[:30])
def test_a_default_of_a_field_is_a_value_of_its_type(kind, sound, wrong):
    for default in sound:
        check_content("avro", with_default(kind, default))
    for default in wrong:
        assert refused("avro", with_default(kind, default)).place == "/fields/0/default", default


def test_avro_names_are_found_as_java_finds_them():
    """In the space that encloses the reference, else outside of all; by an object too; with a dot before it outside at once."""
    inner = {"type": "record", "name": "b.I", "fields": [{"name": "a", "type": ["null", "E", "I", {"type": "string"}]}]}
    kinds = [ENUM, inner, "E", ".E", {"type": "E", "doc": "the same"}, "b.I"]
    fields = [{"name": f"f{number}", "type": kind} for number, kind in enumerate(kinds)]
    check_content("avro", json.dumps({"type": "record", "name": ".R", "fields": fields}).encode())
    space = {"type": "record", "name": "R", "namespace": "b", "fields": [*fields[:1], {"name": "g", "type": "b.E"}]}
    check_content("avro", json.dumps(space).encode())
    space["fields"][1]["type"] = ".E"
    assert refused("avro", json.dumps(space).encode()).place == "/fields/1/type"


def test_a_default_among_many_records_takes_no_time():
    """Each level of the value has twenty candidates, none of which fits: asked once each, not twenty to the power of depth."""
    names = [f"R{number}" for number in range(20)]
    union = [
        {"type": "record", "name": name, "fields": [{"name": "f", "type": names[: n + 1]}]}
        for n, name in enumerate(names)
    ]
    default: object = 1
    for _ in range(30):
        default = {"f": default}
    assert refused("avro", with_default(union, default)).place == "/fields/0/default"


@pytest.mark.parametrize("depth", [255, 500])
def test_avro_nested_deeply_is_no_crash(depth):
    deep = b'{"type":"array","items":' * depth + b'"int"' + b"}" * depth
    with contextlib.suppress(errors.ValidationError):
        check_content("avro", deep)


def test_protobuf_names_line_and_column():
    check_content("protobuf", b'syntax = "proto3";\nimport "a.proto";\n')
    error = refused("protobuf", b'syntax = "proto3";\nimport 5;\n')
    assert isinstance(error, errors.ProtoSyntaxError)
    assert error.line == 2


def test_limits():
    with pytest.raises(errors.ValidationError, match="at most"):
        as_bytes(bytes(11), "content", 10)
    with pytest.raises(errors.ValidationError, match="'xml'; expected one of json"):
        check_type("xml")
