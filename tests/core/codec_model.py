"""The record format, written plainly: what the bytes are, field by field."""

from __future__ import annotations

import enum
import json
import struct
import uuid
import zlib
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from tierstore.errors import CorruptError, ValidationError
from tierstore.layout import Shape

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_WIDTHS = {"8": 8, "16": 16, "32": 32, "64": 64, "128": 128}


def put_uint(out: bytearray, value: int) -> None:
    if value < 251:
        out.append(value)
        return
    for mark, size in ((251, 2), (252, 4), (253, 8), (254, 16)):
        if value < 1 << 8 * size:
            out.append(mark)
            out += value.to_bytes(size, "little")
            return


def _put_int(out: bytearray, name: str, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValidationError(f"{name} expected, not {type(value).__name__}")
    bits, signed = int(name[1:]), name[0] == "i"
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    if not low <= value <= high:
        raise ValidationError(f"{value} does not fit {name}")
    if bits == 8:
        out.append(value & 255)
        return
    put_uint(out, (value << 1 if value >= 0 else ~(value << 1)) if signed else value)


def _put_bytes(out: bytearray, value: Any) -> None:
    put_uint(out, len(value))
    out += value


def _check(value: Any, kind: Any) -> Any:
    if not isinstance(value, kind):
        raise ValidationError(f"{getattr(kind, '__name__', kind)} expected, not {type(value).__name__}")
    return value


def put(out: bytearray, shape: Shape, value: Any) -> None:
    name = shape[0]
    if name[1:] in _WIDTHS and name[0] in "iu":
        _put_int(out, name, value)
    elif name in _PUT:
        _PUT[name](out, shape, value)
    else:
        raise TypeError(name)


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


def _put_datetime(out: bytearray, _: Shape, value: Any) -> None:
    if _check(value, datetime).tzinfo is None:
        raise ValidationError("a datetime must be aware")
    _put_int(out, "i64", (value - _EPOCH) // _MICROSECOND)


def _put_record(out: bytearray, shape: Shape, value: Any) -> None:
    body = bytearray()
    put_uint(body, shape[1].__revision__)
    put_fields(body, value)
    _put_bytes(out, body)


def _put_str(out: bytearray, _: Shape, value: Any) -> None:
    try:
        _put_bytes(out, _check(value, str).encode())
    except UnicodeEncodeError as error:
        raise ValidationError(f"a lone surrogate at {error.start} cannot be stored") from None


_PUT: dict[str, Callable[[bytearray, Shape, Any], None]] = {
    "none": lambda out, shape, value: None,
    "bool": lambda out, shape, value: out.append(_check(value, bool)),
    "f32": lambda out, shape, value: out.extend(struct.pack("<f", _check(value, (float, int)))),
    "f64": lambda out, shape, value: out.extend(struct.pack("<d", _check(value, (float, int)))),
    "char": lambda out, shape, value: out.extend(_check(value, str).encode()),
    "str": _put_str,
    "bytes": lambda out, shape, value: _put_bytes(out, _check(value, (bytes, bytearray, memoryview))),
    "view": lambda out, shape, value: _put_bytes(out, _check(value, (bytes, bytearray, memoryview))),
    "datetime": _put_datetime,
    "date": lambda out, shape, value: _put_int(out, "i32", _check(value, date).toordinal() - 719163),
    "timedelta": lambda out, shape, value: _put_int(out, "i128", _check(value, timedelta) // _MICROSECOND),
    "uuid": lambda out, shape, value: out.extend(_check(value, uuid.UUID).bytes),
    "decimal": lambda out, shape, value: _put_bytes(out, str(_check(value, Decimal)).encode()),
    "json": lambda out, shape, value: _put_bytes(out, json.dumps(value).encode()),
    "option": _put_option,
    "list": _put_items,
    "many": _put_items,
    "sequence": _put_items,
    "dict": _put_map,
    "mapping": _put_map,
    "tuple": _put_tuple,
    "enum": lambda out, shape, value: put(out, shape[2], _check(value, enum.Enum).value),
    "record": _put_record,
}


def put_fields(out: bytearray, record: Any) -> None:
    for field in type(record).__record_fields__:
        value = field.default if field.removed else getattr(record, field.name)
        try:
            put(out, field.shape, value)
        except ValidationError as error:
            raise ValidationError(error.message, place=f"{type(record).__name__}.{field.name}") from None


class Reader:
    def __init__(self, data: bytes, offset: int = 0) -> None:
        self.data, self.at = data, offset

    def take(self, size: int) -> bytes:
        if size > len(self.data) - self.at:
            raise CorruptError(f"the buffer ends at byte {len(self.data)}")
        self.at += size
        return self.data[self.at - size : self.at]

    def uint(self) -> int:
        mark = self.take(1)[0]
        if mark < 251:
            return mark
        size = {251: 2, 252: 4, 253: 8, 254: 16}.get(mark)
        if size is None:
            raise CorruptError("a varint starts with 255")
        return int.from_bytes(self.take(size), "little")

    def blob(self) -> bytes:
        return self.take(self.uint())

    def get(self, shape: Shape) -> Any:
        name = shape[0]
        if name[1:] in _WIDTHS and name[0] in "iu":
            return self._int(name)
        return _GET[name](self, shape)

    def _int(self, name: str) -> int:
        if name[1:] == "8":
            return int.from_bytes(self.take(1), "little", signed=name[0] == "i")
        value = self.uint()
        return value if name[0] == "u" else (value >> 1) ^ -(value & 1)

    def record(self, cls: Any) -> Any:
        inner = Reader(self.blob())
        return inner.fields(cls, inner.uint())

    def fields(self, cls: Any, revision: int) -> Any:
        values = {}
        for field in cls.__record_fields__:
            value = self.get(field.shape) if field.revision <= revision else field.make_default()
            if not field.removed:
                values[field.name] = value
        return cls(**values)


_GET: dict[str, Callable[[Reader, Shape], Any]] = {
    "none": lambda r, s: None,
    "bool": lambda r, s: r.take(1) == b"\1",
    "f32": lambda r, s: struct.unpack("<f", r.take(4))[0],
    "f64": lambda r, s: struct.unpack("<d", r.take(8))[0],
    "str": lambda r, s: r.blob().decode(),
    "bytes": lambda r, s: r.blob(),
    "view": lambda r, s: memoryview(r.blob()),
    "datetime": lambda r, s: _EPOCH + r._int("i64") * _MICROSECOND,
    "date": lambda r, s: date.fromordinal(r._int("i32") + 719163),
    "timedelta": lambda r, s: r._int("i128") * _MICROSECOND,
    "uuid": lambda r, s: uuid.UUID(bytes=r.take(16)),
    "decimal": lambda r, s: Decimal(r.blob().decode()),
    "json": lambda r, s: json.loads(r.blob()),
    "option": lambda r, s: r.get(s[1]) if r.take(1) == b"\1" else None,
    "list": lambda r, s: [r.get(s[1]) for _ in range(r.uint())],
    "many": lambda r, s: tuple(r.get(s[1]) for _ in range(r.uint())),
    "sequence": lambda r, s: [r.get(s[1]) for _ in range(r.uint())],
    "dict": lambda r, s: {r.get(s[1]): r.get(s[2]) for _ in range(r.uint())},
    "mapping": lambda r, s: {r.get(s[1]): r.get(s[2]) for _ in range(r.uint())},
    "tuple": lambda r, s: tuple(r.get(item) for item in s[1]),
    "enum": lambda r, s: s[1](r.get(s[2])),
    "record": lambda r, s: r.record(s[1]),
}

_HEAD = struct.Struct("<HHHHIIQQ")


def _sum(data: bytes) -> int:
    return zlib.crc32(data)


def encode(record: Any, *, key: bytes = b"") -> bytes:
    cls = type(record)
    body = bytearray()
    put_fields(body, record)
    head = _HEAD.pack(cls.__kind__, cls.__revision__, cls.__oldest_reader__, 1, len(body), 0, _sum(body), 0)
    return head[:-8] + _sum(head[:-8] + key).to_bytes(8, "little") + body


def decode(buffer: Any, *, key: bytes = b"", cls: Any = None, current: bool = False) -> Any:
    from tierstore.records import _by_kind

    data = bytes(buffer)
    if len(data) < 32:
        raise CorruptError("a record has 32 bytes at least")
    kind, revision, oldest, flags, size, _, body_sum, head_sum = _HEAD.unpack_from(data)
    if head_sum != _sum(data[:24] + key) or size != len(data) - 32 or body_sum != _sum(data[32:]) or flags != 1:
        raise CorruptError("the checksum does not fit: the record is damaged, or stored under another key")
    cls = cls or _by_kind.get(kind)
    if cls is None or cls.__kind__ != kind:
        raise CorruptError(f"no record class has kind {kind}")
    if oldest > cls.__revision__ or (current and revision < cls.__revision__):
        raise CorruptError(
            f"revision {revision} (oldest reader {oldest}) cannot be read by revision {cls.__revision__}"
        )
    return Reader(data, 32).fields(cls, revision)
