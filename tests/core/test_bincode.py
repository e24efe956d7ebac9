"""bincode `standard()`: the reference rows both ways, every type there and back, and bytes that are none of it."""

from __future__ import annotations

import json
import math
import re
import struct
import tracemalloc
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierstore import codec
from tierstore.errors import CorruptError, ValidationError

ROWS = Path(__file__).parents[1] / "data" / "bincode_rows.json"
NAMES = ["u8", "u16", "u32", "u64", "u128", "i8", "i16", "i32", "i64", "i128", "f32", "f64", "char"]


@dataclass
class Ok:
    value: codec.u32


@dataclass
class Err:
    value: str


@dataclass
class Pair:
    left: int
    right: tuple[str, bool]


PLAIN: dict[str, Any] = {name: getattr(codec, name) for name in NAMES} | {"bool": bool, "string": str, "unit": None}
WHOLE: dict[str, Any] = {
    "vec<u8>": bytes,
    "vec<u32>": list[codec.u32],
    "vec<string>": list[str],
    "vec<vec<u16>>": list[list[codec.u16]],
    "option<u32>": codec.u32 | None,
    "option<string>": str | None,
    "option<option<u8>>": codec.Some[codec.u8 | None] | None,
    "array<u8,5>": tuple[codec.u8, codec.u8, codec.u8, codec.u8, codec.u8],
    "tuple<u32,i32>": tuple[codec.u32, codec.i32],
    "tuple<u8,string,option<i64>,bool>": tuple[codec.u8, str, codec.i64 | None, bool],
    "map<string,u64>": dict[str, codec.u64],
    "enum result<u32,string> variant 0": Ok | Err,
    "enum result<u32,string> variant 1": Ok | Err,
}


def rows() -> list[dict[str, Any]]:
    return json.loads(ROWS.read_text())


def value_of(row: dict[str, Any]) -> Any:
    name, value = row["type"], row["value"]
    if name == "f32":
        return struct.unpack("<f", struct.pack("<f", float(value)))[0]
    if name == "f64":
        return float(value)
    if re.fullmatch(r"[ui]\d+", name):
        return int(value)
    if name == "vec<u8>":
        return bytes(value)
    if name == "option<option<u8>>":
        return codec.Some(None)
    if name.startswith("enum"):
        return Ok(value["ok"]) if "ok" in value else Err(value["err"])
    if name.startswith(("array", "tuple")):
        return tuple(int(one) if isinstance(one, str) and name == "tuple<u32,i32>" else one for one in value)
    return value


@pytest.mark.requirement("S1-24", "S5-03")
def test_the_reference_rows_both_ways():
    done = 0
    for row in rows():
        annotation, value, encoded = PLAIN.get(row["type"], WHOLE.get(row["type"])), value_of(row), row["varint_le"]
        assert codec.bincode_encode(value, annotation).hex() == encoded, row
        found = codec.bincode_decode(bytes.fromhex(encoded), annotation)
        assert found == value or (math.isnan(found) and math.isnan(value)), row
        done += 1
    assert done == len(rows()) == 111


@pytest.mark.parametrize(
    ("value", "encoded"), [(None, b"\0"), (codec.Some(None), b"\1\0"), (codec.Some(7), b"\1\1\x07")]
)
def test_an_option_of_an_option(value: Any, encoded: bytes):
    annotation = codec.Some[codec.u8 | None] | None
    assert codec.bincode_encode(value, annotation) == encoded
    assert codec.bincode_decode(encoded, annotation) == value
    with pytest.raises(ValidationError):
        codec.bincode_encode(7, annotation)


@given(st.integers(-(2**127), 2**127 - 1))
def test_every_width_there_and_back_or_refused(number: int):
    for name in NAMES[:10]:
        bits, signed = int(name[1:]), name[0] == "i"
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
        if low <= number <= high:
            assert codec.bincode_decode(codec.bincode_encode(number, PLAIN[name]), PLAIN[name]) == number
        else:
            with pytest.raises(ValidationError):
                codec.bincode_encode(number, PLAIN[name])


@given(st.binary(max_size=60))
def test_any_bytes_decode_or_are_refused(rubbish: bytes):
    for annotation in (
        dict[str, list[int]],
        tuple[codec.u128, str],
        Pair,
        Ok | Err,
        list[codec.char],
        list[float | None],
    ):
        try:
            value = codec.bincode_decode(rubbish, annotation)
        except CorruptError:
            continue
        assert codec.bincode_decode(codec.bincode_encode(value, annotation), annotation) is not None


def test_dataclasses_are_structs():
    value = Pair(-1, ("x", True))
    assert codec.bincode_encode(value, Pair) == b"\x01\x01x\x01"
    assert codec.bincode_decode(b"\x01\x01x\x01", Pair) == value
    with pytest.raises(ValidationError):
        codec.bincode_encode(Ok(1), Pair)


@pytest.mark.parametrize(
    "buffer", [b"", b"\xfd\xff\xff\xff\xff\xff\xff\xff\xff", b"\xfc\xff\xff\xff\xff", b"\xff", b"\xfe" + b"\xff" * 16]
)
@pytest.mark.parametrize("annotation", [str, bytes, list[int], dict[str, int], list[tuple[str, str]]])
def test_claims_that_cannot_be_true_cost_nothing(buffer: bytes, annotation: Any):
    tracemalloc.start()
    with pytest.raises(CorruptError):
        codec.bincode_decode(buffer, annotation)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000


def test_values_out_of_their_width_are_refused_when_read():
    for buffer, annotation in [
        (b"\xfc\0\0\1\0", codec.u16),
        (b"\xfc\5\0\0\0", codec.u16),
        (b"\xfd\5\0\0\0\0\0\0\0", codec.i32),
        (b"\x02", bool),
        (b"\xed\xa0\x80", codec.char),
        (b"\x01\xff", str),
    ]:
        with pytest.raises(CorruptError):
            codec.bincode_decode(buffer, annotation)
    with pytest.raises(CorruptError):
        codec.bincode_decode(b"\x01\x01", codec.u8)
    assert codec.bincode_decode(b"\xfb\5\0", codec.u16) == 5, (
        "bincode reads what is longer than it must be, up to the type"
    )


def test_the_order_of_a_union_counts_though_python_calls_both_equal():
    assert (Ok | Err) == (Err | Ok)
    for _ in range(2):
        assert codec.bincode_encode(Err("no"), Ok | Err) == b"\1\2no"
        assert codec.bincode_encode(Err("no"), Err | Ok) == b"\0\2no"
        assert codec.bincode_decode(b"\1\1\2no", list[Ok | Err]) == [Err("no")]
        assert codec.bincode_decode(b"\1\0\2no", list[Err | Ok]) == [Err("no")]


@dataclass
class Node:
    next: Node | None


def test_a_dataclass_that_holds_itself_is_refused():
    with pytest.raises(TypeError):
        codec.bincode_encode(Node(None), Node)


def test_annotations_that_are_no_type_are_refused():
    for annotation in (complex, list[None], int | str, object):
        with pytest.raises(TypeError):
            codec.bincode_encode(1, annotation)


def test_the_order_of_a_union_within_some_is_as_written():
    @dataclass
    class One:
        x: codec.u8

    @dataclass
    class Two:
        x: codec.u8

    for order, expected in ((codec.Some[One | Two], b"\x00\x05"), (codec.Some[Two | One], b"\x01\x05")):
        assert codec.bincode_encode(codec.Some(One(5)), order) == expected
        assert codec.bincode_decode(expected, order) == codec.Some(One(5))
