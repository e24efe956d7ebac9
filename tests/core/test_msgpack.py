"""MessagePack: equality with msgspec, limits, and streams in pieces. What each byte means: `test_msgpack_table.py`."""

from __future__ import annotations

import array
import gc
import math
import struct
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierstore import codec
from tierstore.errors import CorruptError, ValidationError

TEXT = st.text(st.characters(codec="utf-8"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | TEXT | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=20,
)
BOUNDARIES = [sign * 2**bits + step for bits in range(65) for sign in (1, -1) for step in (-1, 0, 1)]


@given(VALUES)
def test_bytes_are_those_of_msgspec_and_both_read_each_other(value: Any):
    own = codec.msgpack_encode(value)
    assert own == msgspec.msgpack.encode(value)
    assert codec.msgpack_decode(own) == msgspec.msgpack.decode(own) == value


@pytest.mark.parametrize("number", [number for number in BOUNDARIES if -(2**63) <= number < 2**64])
def test_integers_at_every_boundary(number: int):
    assert codec.msgpack_decode(codec.msgpack_encode(number)) == number
    assert codec.msgpack_encode(number) == msgspec.msgpack.encode(number)


@given(st.integers(0, 2**64 - 1))
def test_floats_bit_for_bit(bits: int):
    value = struct.unpack("<d", struct.pack("<Q", bits))[0]
    found = codec.msgpack_decode(codec.msgpack_encode(value))
    assert struct.pack("<d", found) == struct.pack("<d", value) or (math.isnan(found) and math.isnan(value))


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_are_refused(rubbish: bytes):
    try:
        value = codec.msgpack_decode(rubbish, strict=False)
    except CorruptError:
        return
    try:
        again = codec.msgpack_encode(value, max_depth=600)
    except ValidationError:
        assert "\\udc" in ascii(value), "only text that was not UTF-8 comes out as what cannot be encoded"
    else:
        assert codec.msgpack_encode(codec.msgpack_decode(again, strict=False), max_depth=600) == again


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, "\ud800", object(), {1, 2}, datetime(2026, 1, 1)])  # noqa: DTZ001
def test_what_has_no_place_is_refused(value: object):
    with pytest.raises(ValidationError):
        codec.msgpack_encode(value)


def test_strict_refuses_what_json_would_not_know():
    bad_text, int_key, twice = b"\xa1\xff", b"\x81\x01\x02", b"\x82\xa1a\x01\xa1a\x02"
    for buffer in (bad_text, int_key, twice):
        with pytest.raises(CorruptError):
            codec.msgpack_decode(buffer)
    assert codec.msgpack_decode(bad_text, strict=False) == "\udcff"
    assert codec.msgpack_decode(int_key, strict=False) == {1: 2}
    assert codec.msgpack_decode(twice, strict=False) == {"a": 2}
    assert codec.msgpack_decode(b"\x81\x91\x01\x02", strict=False) == {(1,): 2}
    with pytest.raises(CorruptError):
        codec.msgpack_decode(b"\x81\x80\x02", strict=False)


def test_what_is_left_over_or_missing_is_refused():
    whole = codec.msgpack_encode({"a": [1, "b", 2.5, b"c"]})
    for end in range(len(whole)):
        with pytest.raises(CorruptError):
            codec.msgpack_decode(whole[:end])
    with pytest.raises(CorruptError):
        codec.msgpack_decode(whole + b"\xc0")


def test_limits_are_parameters():
    deep = b"\x91" * 10 + b"\xc0"
    assert codec.msgpack_decode(deep, max_depth=10)
    with pytest.raises(CorruptError):
        codec.msgpack_decode(deep, max_depth=9)
    with pytest.raises(CorruptError):
        codec.msgpack_decode(deep, max_size=10)
    with pytest.raises(ValidationError):
        codec.msgpack_encode([[[1]]], max_depth=2)
    with pytest.raises(ValidationError):
        codec.msgpack_encode([1], max_depth=0)
    for empty in ([], {}, ()):  # nothing is in them: they are values, both ways
        assert codec.msgpack_decode(codec.msgpack_encode([[empty]], max_depth=2), max_depth=2)


@pytest.mark.parametrize(
    "kind",
    [
        bytes,
        bytearray,
        memoryview,
        lambda data: memoryview(b"x" + data + b"y")[1:-1],
        lambda data: memoryview(bytes(2 * len(data)) + data[::-1])[: len(data) * 2 - 1 : -1],
        lambda data: array.array("b", data),
        lambda data: memoryview(data).cast("b"),
    ],
)
def test_any_buffer_is_read(kind: Any):
    value = {"key": ["value", 1, None]}
    assert codec.msgpack_decode(kind(codec.msgpack_encode(value))) == value


def test_a_buffer_that_is_written_to_meanwhile_is_decoded_as_it_was():
    """The finaliser runs in the middle: the collector starts when enough lists were made."""
    packed = bytearray(codec.msgpack_encode([["key", number] for number in range(5_000)]))

    class Writer:
        def __del__(self) -> None:
            packed[:] = b"\xc1" * len(packed)

    for kind in (lambda: memoryview(packed).toreadonly(), lambda: packed):
        before = bytes(packed)
        cycle = [Writer()]
        cycle.append(cycle)
        del cycle
        assert codec.msgpack_decode(kind()) == [["key", number] for number in range(5_000)]
        gc.collect()
        packed[:] = before


def test_tuples_subclasses_and_shared_keys():
    class Text(str):
        __slots__ = ()

    assert codec.msgpack_decode(codec.msgpack_encode((Text("a"), {Text("k"): True}))) == ["a", {"k": True}]
    one, two = codec.msgpack_decode(codec.msgpack_encode([{"shared_key": 1}, {"shared_key": 2}]))
    assert next(iter(one)) == next(iter(two)) == "shared_key"


def test_timestamps_keep_nanoseconds():
    exact = codec.Timestamp(1514862245, 678901234)
    assert codec.msgpack_decode(codec.msgpack_encode(exact)) == exact
    when = datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
    assert codec.msgpack_decode(codec.msgpack_encode(when)) == when
    with pytest.raises(ValidationError):
        codec.Timestamp(0, 10**9)
    with pytest.raises(CorruptError):
        codec.msgpack_decode(b"\xd7\xff" + b"\xff" * 8)


@given(st.lists(VALUES, max_size=6), st.data())
def test_a_stream_in_pieces_gives_the_same_values(values: list[Any], data: st.DataObject):
    whole = b"".join(codec.msgpack_encode(value) for value in values)
    stream, found, at = codec.MsgpackStream(), [], 0
    while at < len(whole):
        size = data.draw(st.integers(1, len(whole) - at))
        found += stream.feed(whole[at : at + size])
        at += size
    assert found == values
    assert stream.pending == 0


@given(VALUES, st.integers(0, 5))
def test_a_stream_cut_anywhere_gives_the_same_values(value: Any, ahead: int):
    whole = codec.msgpack_encode(ahead) + codec.msgpack_encode(value) + codec.msgpack_encode([ahead])
    for cut in range(len(whole) + 1):
        stream = codec.MsgpackStream()
        assert stream.feed(whole[:cut]) + stream.feed(whole[cut:]) == [ahead, value, [ahead]]


@pytest.mark.parametrize("fault", [b"\xa1\xff", b"\x81\x01\x02", b"\x91" * 600 + b"\xc0"])
def test_a_faulty_value_of_a_stream_costs_no_other(fault: bytes):
    stream = codec.MsgpackStream()
    assert stream.feed(b"\x01\x02" + fault + b"\x03\x04\x92") == [1, 2]
    with pytest.raises(CorruptError):
        stream.feed(b"")
    assert stream.feed(b"\x05\x06") == [3, 4, [5, 6]]


def test_what_stands_before_a_fault_in_the_framing_is_answered_first():
    stream = codec.MsgpackStream(max_size=10)
    assert stream.feed(b"\x01\xaf" + b"x" * 15 + b"\x02") == [1]
    for _ in range(2):
        with pytest.raises(CorruptError):
            stream.feed(b"")
    stream = codec.MsgpackStream()
    assert stream.feed(b"\x01\xc1\x02") == [1]
    with pytest.raises(CorruptError):
        stream.feed(b"\x03")


def test_a_stream_is_limited_and_sees_faults():
    with pytest.raises(CorruptError):
        codec.MsgpackStream(max_size=10).feed(b"\xda\xff\xff" + b"x" * 20)
    with pytest.raises(CorruptError):
        codec.MsgpackStream().feed(b"\xc1")
    stream = codec.MsgpackStream()
    assert stream.feed(b"\x92\x01") == []
    assert stream.pending == 2


def test_the_end_of_a_stream_is_its_end():
    """Where nobody knows where a value ends, nothing is held for later."""
    for piece, options in ((b"\xc1", {}), (b"\xc4\xff" + b"x" * 50, {"max_size": 10})):
        stream = codec.MsgpackStream(**options)
        assert stream.feed(b"\x01") == [1]
        for _ in range(50):
            with pytest.raises(CorruptError):
                stream.feed(piece)
            assert stream.pending == 0
        with pytest.raises(CorruptError):
            stream.feed(b"\x01")


def test_nobody_sees_a_list_before_it_is_full():
    code = """
import gc
from tierstore import codec
packed = codec.msgpack_encode([{"a": [1, 2, {}], "b": {}}] * 3000)
seen = 0
def look(phase, info):
    global seen
    seen += sum(sum(1 for _ in one) for one in gc.get_objects() if type(one) is list)
gc.callbacks.append(look)
gc.set_threshold(50, 2, 2)
value = codec.msgpack_decode(packed)
gc.callbacks.clear()
assert value == [{"a": [1, 2, {}], "b": {}}] * 3000 and seen
assert gc.is_tracked(value) and gc.is_tracked(value[0]["a"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "fail",
    [
        "codec.msgpack_decode(b'\\xc1' + bytes(1000))",
        "codec.msgpack_encode(object())",
        "codec.decode(b'x' * 40)",
        "setattr(record, 'name', 1)",
        "getattr(record, 'nothing%d' % number)",
        "codec.msgpack_decode('not bytes')",
    ],
)
def test_errors_die_when_they_were_handled(fail):
    code = f"""
import gc
from tierstore import codec
from tierstore.records import Record
class Named(Record, kind=60170):
    name: str
record = codec.decode(codec.encode(Named("n")))
def run(count):
    for number in range(count):
        try:
            {fail}
        except Exception:
            pass
        else:
            raise SystemExit("it did not fail")
run(100)
gc.collect()
import sys
before = sys.getallocatedblocks()
run(3000)
gc.collect()
grown = sys.getallocatedblocks() - before
assert grown < 500, grown
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
