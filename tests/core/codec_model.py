"""The record format, written plainly a second time: what the core's bytes are compared with."""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from tierstore.layout import Shape, is_bulk
from tierstore.records import Record

EAGER_BYTES, PIECE_BYTES = 16 * 1024, 8 * 1024
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def crc32c(data: bytes) -> int:
    """CRC-32C, bit by bit (RFC 3720)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def put_uint(out: bytearray, value: int) -> None:
    if value < 251:
        out.append(value)
        return
    for mark, size in ((251, 2), (252, 4), (253, 8), (254, 16)):
        if value < 1 << 8 * size:
            out.append(mark)
            out += value.to_bytes(size, "little")
            return


def _put_int(out: bytearray, name: str, value: int) -> None:
    if name[1:] == "8":
        out.append(value & 255)
    else:
        put_uint(out, (value << 1 if value >= 0 else ~(value << 1)) if name[0] == "i" else value)


def _put_bytes(out: bytearray, value: bytes) -> None:
    put_uint(out, len(value))
    out += value


def put(out: bytearray, shape: Shape, value: Any) -> None:
    name = shape[0]
    if name[0] in "iu" and name[1:].isdigit():
        _put_int(out, name, value)
    else:
        _PUT[name](out, shape, value)


def _put_items(out: bytearray, shape: Shape, value: Any) -> None:
    put_uint(out, len(value))
    for item in value:
        put(out, shape[1], item)


def _put_map(out: bytearray, shape: Shape, value: Any) -> None:
    put_uint(out, len(value))
    for key, item in value.items():
        put(out, shape[1], key)
        put(out, shape[2], item)


def _put_tuple(out: bytearray, shape: Shape, value: Any) -> None:
    for item_shape, item in zip(shape[1], value, strict=True):
        put(out, item_shape, item)


def _put_option(out: bytearray, shape: Shape, value: Any) -> None:
    out.append(value is not None)
    if value is not None:
        put(out, shape[1], value)


def _put_record(out: bytearray, shape: Shape, value: Record) -> None:
    body = bytearray()
    put_uint(body, shape[1].__revision__)
    put_uint(body, shape[1].__oldest_reader__)
    _put_bytes(out, bytes(body + fields(value)))


_PUT: dict[str, Callable[[bytearray, Shape, Any], None]] = {
    "none": lambda out, shape, value: None,
    "bool": lambda out, shape, value: out.append(value),
    "f32": lambda out, shape, value: out.extend(struct.pack("<f", value)),
    "f64": lambda out, shape, value: out.extend(struct.pack("<d", value)),
    "char": lambda out, shape, value: out.extend(value.encode()),
    "str": lambda out, shape, value: _put_bytes(out, value.encode()),
    "bytes": lambda out, shape, value: _put_bytes(out, value),
    "view": lambda out, shape, value: _put_bytes(out, bytes(value)),
    "datetime": lambda out, shape, value: _put_int(out, "i64", (value - _EPOCH) // _MICROSECOND),
    "date": lambda out, shape, value: _put_int(out, "i32", value.toordinal() - 719163),
    "timedelta": lambda out, shape, value: _put_int(out, "i128", value // _MICROSECOND),
    "uuid": lambda out, shape, value: out.extend(value.bytes),
    "decimal": lambda out, shape, value: _put_bytes(out, str(value).encode()),
    "json": lambda out, shape, value: _put_bytes(out, msgspec.msgpack.encode(value)),
    "option": _put_option,
    "list": _put_items,
    "many": _put_items,
    "sequence": _put_items,
    "dict": _put_map,
    "mapping": _put_map,
    "tuple": _put_tuple,
    "enum": lambda out, shape, value: put(out, shape[2], value.value),
    "record": _put_record,
}


def fields(record: Record, *, bulk: bool = True) -> bytes:
    """The fields of a record that was built from values, in wire order; or those before the first bulk one."""
    out = bytearray()
    for one in type(record).__record_fields__:
        if not bulk and is_bulk(one.shape):
            break
        put(out, one.shape, one.default if one.removed else getattr(record, one.name))
    return bytes(out)


def _mixed(words: list[int], sum_of_fields: int) -> int:
    """The head sum without its key."""
    primes = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9)
    mask = 2**64 - 1
    mixed = sum_of_fields
    for word, prime, turn in zip(words, primes, (0, 21, 42), strict=True):
        product = word * prime & mask
        mixed ^= (product << turn | product >> (64 - turn)) & mask
    mixed = (mixed ^ mixed >> 37) * primes[2] & mask
    return mixed ^ mixed >> 32


def buffer(record: Record, key_sum: int) -> bytes:
    """The whole record: envelope, fields, and the sums of long bulk. `key_sum`: the XXH3 of its key."""
    cls, body = type(record), fields(record)
    head = body if len(body) <= EAGER_BYTES else fields(record, bulk=False)
    rest = body[len(head) :]
    pieces = [rest[at : at + PIECE_BYTES] for at in range(0, len(rest), PIECE_BYTES)] if len(rest) > EAGER_BYTES else []
    table = b"".join(crc32c(piece).to_bytes(4, "little") for piece in pieces)
    first = struct.pack("<HHHH", cls.__kind__, cls.__revision__, cls.__oldest_reader__, 1)
    words = [int.from_bytes(first, "little"), len(head) | len(body) << 32, crc32c(table or rest)]
    total = _mixed(words, crc32c(head)) ^ key_sum
    return struct.pack("<QQQQ", *words, total) + body + table
