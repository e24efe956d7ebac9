"""The codec: records, MessagePack and bincode, to bytes and back.

`encode` and `decode` are for records (`tierstore.records`); `decode_current` is the stricter rule of the cache tiers. Every decoder
accepts any bytes at all and raises CorruptError for those that are not what they claim to be.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeVar, overload

from tierstore._native import (
    BincodeType,
    Ext,
    MsgpackStream,
    Timestamp,
    decode,
    decode_as,
    decode_current,
    encode,
    msgpack_decode,
    msgpack_encode,
)
from tierstore.errors import raise_alone
from tierstore.layout import (
    JSON,
    Shape,
    Some,
    char,
    f32,
    f64,
    i8,
    i16,
    i32,
    i64,
    i128,
    shape_of,
    u8,
    u16,
    u32,
    u64,
    u128,
)

T = TypeVar("T")
Buffer = bytes | bytearray | memoryview

__all__ = [
    "JSON",
    "Ext",
    "MsgpackStream",
    "Some",
    "Timestamp",
    "bincode_decode",
    "bincode_encode",
    "char",
    "decode",
    "decode_as",
]
__all__ += [
    "decode_current",
    "encode",
    "f32",
    "f64",
    "i8",
    "i16",
    "i32",
    "i64",
    "i128",
    "msgpack_decode",
    "msgpack_encode",
]
__all__ += ["u8", "u16", "u32", "u64", "u128"]


class _Itself:
    """An annotation by its identity: `A | B` equals `B | A`, and is another type of bincode."""

    def __init__(self, annotation: Any) -> None:
        self.annotation = annotation

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and self.annotation is other.annotation

    def __hash__(self) -> int:
        return id(self.annotation)


@lru_cache(maxsize=1024)
def _compiled(annotation: Any) -> BincodeType | None:
    """None if the order in which it is written counts."""
    shape = _shape(annotation)
    return None if _has_union(shape) else BincodeType(shape)


@lru_cache(maxsize=1024)
def _ordered(itself: _Itself) -> BincodeType:
    return BincodeType(_shape(itself.annotation))


def _shape(annotation: Any) -> Shape:
    try:
        return shape_of(annotation)
    except RecursionError:
        raise_alone(TypeError(f"{annotation!r} contains itself; bincode needs a type of finite depth"))


def _has_union(shape: Any) -> bool:
    """Whether a union stands in the annotation itself; one within a dataclass belongs to that class."""
    if not isinstance(shape, tuple) or (shape[:1] == ("struct",) and shape[1] is not Some):
        return False
    return shape[:1] == ("union",) or any(_has_union(part) for part in shape)


def _bincode_type(annotation: Any) -> BincodeType:
    try:
        return _compiled(annotation) or _ordered(_Itself(annotation))
    except TypeError:
        return BincodeType(_shape(annotation))  # one that cannot be hashed, or no type at all


def bincode_encode(obj: object, type: Any) -> bytes:
    """`obj` as bincode 2 `standard()` writes the type: little-endian, integers as varints. `type` is an annotation.

    ValidationError if the value does not fit the type, TypeError if bincode has no such type.
    """
    return _bincode_type(type).encode(obj)


@overload
def bincode_decode(buffer: Buffer, type: type[T]) -> T: ...
@overload
def bincode_decode(buffer: Buffer, type: Any) -> Any: ...
def bincode_decode(buffer: Buffer, type: Any) -> Any:
    """The one value of `type` in `buffer`. CorruptError if bytes are missing, left over, or not of this type.

    A length or a count that the buffer cannot hold is refused before anything is allocated.
    """
    return _bincode_type(type).decode(buffer)
