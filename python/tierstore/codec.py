"""The codec: records to bytes and back.

`encode` and `decode` are for records (`tierstore.records`); `decode_current` is the stricter rule of the cache tiers.
"""

from __future__ import annotations

from typing import TypeVar

from tierstore import wire
from tierstore.layout import JSON, char, f32, f64, i8, i16, i32, i64, i128, u8, u16, u32, u64, u128
from tierstore.records import Record

R = TypeVar("R", bound=Record)
Buffer = bytes | bytearray | memoryview

__all__ = ["JSON", "char", "decode", "decode_current", "encode", "f32", "f64"]
__all__ += ["i8", "i16", "i32", "i64", "i128", "u8", "u16", "u32", "u64", "u128"]


def encode(record: Record, *, key: bytes = b"") -> bytes:
    """The record's bytes: 32 of envelope, then its fields. ValidationError names a field whose value does not fit its type."""
    return wire.encode(record, key=key)


def decode(buffer: Buffer, *, key: bytes = b"") -> Record:
    """The record in `buffer`, of the class that declared its kind. CorruptError if it is damaged or was stored under another key."""
    record: Record = wire.decode(buffer, key=key)
    return record


def decode_current(buffer: Buffer, cls: type[R], *, key: bytes = b"") -> R:
    """As `decode`, by the rule of the tiers: refused unless revision ≥ the class's and oldest reader ≤ the class's revision."""
    record: R = wire.decode(buffer, key=key, cls=cls, current=True)
    return record
