"""Content against its type: what is sound passes, what is not names its place, and nothing is fetched."""

from __future__ import annotations

import contextlib
import socket
from importlib import resources

import pytest

from tierstore import errors
from tierstore.stores.schemas.validation import MAX_CONTENT_BYTES, check_content, check_size, check_type

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
    ],
)
def test_avro_that_is_not(content, place):
    assert (refused("avro", content).place or "").startswith(place)


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
        check_size(bytes(MAX_CONTENT_BYTES + 1))
    with pytest.raises(errors.ValidationError, match="types are"):
        check_type("xml")
