"""The table of MessagePack, judged by msgspec and by msgpack, and by ours."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator
from typing import Any

import msgpack
import msgspec
import pytest

from tests.core import msgpack_table as table
from tests.core.msgpack_table import MSGPACK, MSGSPEC, REFUSED, Refusal, Row, moment
from tierstore import codec
from tierstore.errors import CorruptError, ValidationError

ROWS, REFUSALS = table.rows(), table.refusals()
CUTS = 40
"""A row that is longer is cut at so many places from its beginning, and before its last byte."""


def by_msgspec(encoded: bytes) -> Any:
    try:
        return from_msgspec(msgspec.msgpack.decode(encoded))
    except (msgspec.DecodeError, RecursionError):
        return REFUSED


def from_msgspec(value: Any) -> Any:
    return codec.Ext(value.code, bytes(value.data)) if isinstance(value, msgspec.msgpack.Ext) else value


def by_msgpack(encoded: bytes) -> Any:
    try:
        value = msgpack.unpackb(encoded, ext_hook=codec.Ext)
    except ValueError:  # all of its own errors are some
        return REFUSED
    return moment(value.seconds, value.nanoseconds) if isinstance(value, msgpack.Timestamp) else value


JUDGES: dict[str, Callable[[bytes], Any]] = {MSGSPEC: by_msgspec, MSGPACK: by_msgpack}


def written_by_msgspec(value: Any) -> bytes:
    return msgspec.msgpack.encode(
        msgspec.msgpack.Ext(value.code, value.data) if isinstance(value, codec.Ext) else value
    )


def written_by_msgpack(value: Any) -> bytes:
    if isinstance(value, codec.Ext):
        value = msgpack.ExtType(value.code, value.data)
    if isinstance(value, codec.Timestamp):
        value = msgpack.Timestamp(value.seconds, value.nanoseconds)
    written: bytes = msgpack.packb(value, datetime=True)
    return written


WRITERS: dict[str, Callable[[Any], bytes]] = {MSGSPEC: written_by_msgspec, MSGPACK: written_by_msgpack}


def same(one: Any, other: Any) -> bool:
    """Of the same type, and bit for bit where it is a float."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return struct.pack("d", one) == struct.pack("d", other) or (math.isnan(one) and math.isnan(other))
    return bool(one == other)


def cuts(encoded: bytes) -> Iterator[bytes]:
    for end in {*range(min(len(encoded), CUTS)), len(encoded) - 1}:
        yield encoded[:end]


@pytest.mark.requirement("S1-24", "S5-03")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_is_read_by_the_judges_and_by_ours(row: Row):
    for name, judge in JUDGES.items():
        assert same(judge(row.encoded), row.says.get(name, row.value)), name
    assert same(codec.msgpack_decode(row.encoded), row.value)


@pytest.mark.requirement("S1-24", "S5-03")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_form_that_an_encoder_writes_is_written_by_the_judges_and_by_ours(row: Row):
    own = codec.msgpack_encode(row.value)
    assert (own == row.encoded) == row.written
    for name in row.writes:
        assert WRITERS[name](row.value) == own, name


@pytest.mark.requirement("S1-24", "S5-03")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_that_is_cut_or_goes_on_is_refused_by_the_judges_and_by_ours(row: Row):
    for buffer in (*cuts(row.encoded), row.encoded + b"\xc0", row.encoded + b"\xc1"):
        assert {name: judge(buffer) for name, judge in JUDGES.items()} == dict.fromkeys(JUDGES, REFUSED)
        for strict in (True, False):
            with pytest.raises(CorruptError):
                codec.msgpack_decode(buffer, strict=strict)


@pytest.mark.requirement("S1-24", "S5-03")
@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.name)
def test_what_is_refused_is_refused_by_the_judges_and_by_ours(refusal: Refusal):
    refused = {name for name, judge in JUDGES.items() if judge(refusal.encoded) == REFUSED}
    assert refused == set(JUDGES) - refusal.accepted_by
    with pytest.raises(CorruptError):
        codec.msgpack_decode(refusal.encoded)


def test_every_format_byte_is_in_the_table():
    assert {row.encoded[0] for row in ROWS} == set(range(0x100)) - {0xC1}
    assert {row.encoded[0] for row in ROWS if not row.written} >= {*range(0xC5, 0xCB), *range(0xCC, 0xD4)}
    assert len({row.encoded for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, "\ud800", {"a": ["\udfff"]}, object()])
def test_what_has_no_form_is_not_written_by_the_judges_nor_by_ours(value: object):
    for write in WRITERS.values():
        with pytest.raises((OverflowError, UnicodeEncodeError, TypeError)):
            write(value)
    with pytest.raises(ValidationError):
        codec.msgpack_encode(value)
