"""`check_json` beside two other parsers, and the texts that a search looks into."""

from __future__ import annotations

import json
import re

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tierstore._native import check_json, search_text
from tierstore.errors import ValidationError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)
TOKENS = [*'{}[],:"', '"a"', "1", "-", "0", ".5", "e1", "true", "null", "NaN", " ", "\n", "\\", "\\u00", "é"]
PIECES = st.lists(st.sampled_from(TOKENS)).map("".join)


def accepts(source: bytes) -> bool:
    try:
        check_json(source)
    except ValidationError:
        return False
    return True


def refusal(source: bytes) -> ValidationError:
    with pytest.raises(ValidationError) as refused:
        check_json(source)
    return refused.value


@given(VALUES, st.sampled_from([None, 1]), st.booleans())
def test_what_the_standard_library_writes_is_json(value: object, indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    if re.search(r"\\ud[89a-f]|[\ud800-\udfff]", text):
        return
    check_json(text.encode())


@settings(max_examples=500)
@given(st.one_of(PIECES.map(str.encode), st.binary(max_size=12)))
def test_it_accepts_what_orjson_accepts(source: bytes) -> None:
    try:
        orjson.loads(source)
        expected = True
    except orjson.JSONDecodeError:
        expected = False
    assert accepts(source) == expected


@settings(max_examples=500)
@given(PIECES)
def test_it_accepts_what_json_accepts_but_for_its_extensions(text: str) -> None:
    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        json.loads(text, parse_constant=refuse)
        expected = True
    except ValueError:
        expected = False
    assert accepts(text.encode()) == expected


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "[NaN]", '{"a": Infinity}'])
def test_no_numbers_that_are_none(value: str) -> None:
    assert "line 1, column" in str(refusal(value.encode()))


@pytest.mark.parametrize("text", [r'"\ud800"', r'"\udc00"', r'"\ud800\ud800"', r'"\ud800A"'])
def test_a_lone_surrogate_has_no_character(text: str) -> None:
    assert "surrogate" in refusal(text.encode()).message
    check_json(rb'"\ud83d\ude00"')


@pytest.mark.parametrize(
    ("source", "place"),
    [
        (b"", "line 1, column 1"),
        (b'{"a": 1,\n "b" 2}', "line 2, column 6"),
        ('{"é😀": x}'.encode(), "line 1, column 8"),
        (b'"\xff"', "line 1, column 2"),
        (b'["ok",\r\n\t"\xc3"]', "line 2, column 3"),
        (b"\xef\xbb\xbf1", "line 1, column 1"),
        (b"[1, 2", "line 1, column 6"),
        (b'"a\x00"', "line 1, column 3"),
    ],
)
def test_the_place(source: bytes, place: str) -> None:
    assert refusal(source).place == place


def test_depth() -> None:
    check_json(b"[" * 512 + b"]" * 512)
    assert refusal(b"[" * 513 + b"]" * 513).place == "line 1, column 513"
    assert "512 levels" in refusal(b'{"a":' * 100_000).message
    check_json(b"[[]]", max_depth=2)
    assert accepts(b"[" * 512 + b"]" * 512)
    with pytest.raises(ValidationError):
        check_json(b"[[]]", max_depth=1)
    deep = 1_000_000
    check_json(b"[" * deep + b"]" * deep, max_depth=deep)


def test_names_may_repeat_and_numbers_may_be_large() -> None:
    check_json(b'{"a": 1, "a": 1e999, "b": 123456789012345678901234567890}')


@pytest.mark.parametrize("source", [b"[]", bytearray(b"[]"), memoryview(b"[]")])
def test_any_bytes_like_source(source: bytes) -> None:
    check_json(source)
    with pytest.raises(TypeError):
        check_json("[]")  # type: ignore[arg-type]


def test_search_texts() -> None:
    proto = b'// prose\nsyntax = "proto3"; package Acme.V1; message Order { string order_id = 1; } /* more prose */'
    assert search_text("protobuf", proto, 4096) == "syntax proto3 package acme.v1 message order string order_id"
    schema = rb'{"title": "All our orders", "Order-Id": {"type": "string"}, "$ref": "#\/defs\/Line"}'
    assert search_text("jsonschema", schema, 4096) == "title order-id type string $ref defs line"
    assert search_text("json", b'{"\\u00c9cole": 1}', 4096) == "école"
    assert search_text("anything", b"b a B a c1 22", 100) == "b a c1"
    assert search_text("anything", b"alpha beta gamma", 10) == "alpha beta"


@given(st.sampled_from(["json", "jsonschema", "avro", "protobuf", "x"]), st.binary(max_size=300), st.integers(0, 60))
def test_any_bytes_have_a_search_text(schema_type: str, content: bytes, limit: int) -> None:
    text = search_text(schema_type, content, limit)
    assert len(text.encode()) <= limit
    words = text.split(" ") if text else []
    assert len(set(words)) == len(words)
