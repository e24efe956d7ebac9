"""What the library returns, as plain data and as JSON: records, pages, hits, statistics, health, in one place.

    tierstore.to_plain(page)    # dicts, lists, tuples; bytes, datetimes, UUIDs, Decimals and enums stay what they are
    tierstore.to_json(page)     # text: bytes as base64, times as ISO 8601 in UTC ("2026-01-31T12:00:00.500000Z"), durations as ISO 8601

An answer shows its fields and those of its properties that are marked with `exposed`. JSON has no NaN and no infinity: they become null.
Decimals and UUIDs are text in JSON, an enum is its value, and an int keeps all its digits.
"""

from __future__ import annotations

import base64
import dataclasses
import enum
import json
import math
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, NamedTuple, TypeVar
from uuid import UUID

from tierstore._native import CacheStats, Import, Placement, ProtoFile

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

_PLAIN = frozenset({str, int, float, bool, type(None), bytes, datetime, date, timedelta, UUID, Decimal})
_NATIVE: dict[type, tuple[str, ...]] = {
    CacheStats: (
        "hits",
        "misses",
        "loads",
        "load_failures",
        "evictions",
        "expirations",
        "entries",
        "weight",
        "hit_ratio",
    ),
    Import: ("path", "kind", "line", "column"),
    Placement: ("tier", "size", "digest"),
    ProtoFile: ("package", "syntax", "edition", "imports"),
}
"""What the answers of the native module show, in order."""


def exposed(getter: F) -> F:
    """Mark a property as one that `to_plain`, `to_json` and pydantic show: `@property` above, `@exposed` below it."""
    getter.__exposed__ = True  # type: ignore[attr-defined]
    return getter


def exposed_properties(cls: type) -> tuple[str, ...]:
    """The names of the properties that are marked with `exposed`, those of the bases first."""
    found: dict[str, bool] = {}
    for base in reversed(cls.__mro__):
        for name, member in vars(base).items():
            found[name] = isinstance(member, property) and getattr(member.fget, "__exposed__", False)
    return tuple(name for name, is_exposed in found.items() if is_exposed)


@cache
def exposed_names(cls: type) -> tuple[str, ...] | None:
    """The names that an answer of this class shows, in order; None for a class without fields."""
    if (said := getattr(cls, "__exposed_names__", None)) is not None:
        return tuple(said)
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        return (*cls._fields, *exposed_properties(cls))
    if dataclasses.is_dataclass(cls):
        return (*(one.name for one in dataclasses.fields(cls)), *exposed_properties(cls))
    return _NATIVE.get(cls)


def to_plain(answer: object) -> Any:
    """Any answer of the library as dicts, lists, tuples and scalars, however deep. Bytes stay bytes, times stay datetimes.

    TypeError for anything else, such as a store or a function.
    """
    return _walk(answer, _kept, _kept)


def to_json(answer: object) -> str:
    """Any answer of the library as JSON text; the module says how each type is written. TypeError for a value that JSON cannot express."""
    return json.dumps(json_ready(answer), ensure_ascii=False, separators=(",", ":"))


def json_ready(answer: object) -> Any:
    """What `to_json` writes, before it is text: dicts with str keys, lists, str, int, float, bool and None."""
    return _walk(answer, _json_scalar, _json_key)


def _walk(value: Any, scalar: Callable[[Any], Any], key: Callable[[Any], Any]) -> Any:
    cls: Any = type(value)
    if cls in _PLAIN or isinstance(value, enum.Enum):
        return scalar(value)
    if isinstance(value, memoryview | bytearray):
        return scalar(bytes(value))
    if (names := exposed_names(cls)) is not None:
        return {name: _walk(getattr(value, name), scalar, key) for name in names}
    if isinstance(value, Mapping):
        return {key(name): _walk(each, scalar, key) for name, each in value.items()}
    if isinstance(value, tuple) and scalar is _kept:
        return tuple(_walk(each, scalar, key) for each in value)
    if isinstance(value, Sequence | AbstractSet) and not isinstance(value, str | bytes):
        return [_walk(each, scalar, key) for each in value]
    for plain in (str, int, float, bytes, datetime, date, timedelta):  # a class of the caller's that is one of them
        if isinstance(value, plain):
            return scalar(value)
    raise TypeError(f"{cls.__module__}.{cls.__qualname__} cannot be converted to plain values")


def _kept(value: Any) -> Any:
    return value


def _json_scalar(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return _json_scalar(value.value)
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime):
        return value.isoformat() if value.tzinfo is None else f"{value.astimezone(UTC).isoformat()[:-6]}Z"
    if isinstance(value, date):
        return value.isoformat()
    return _duration(value) if isinstance(value, timedelta) else str(value)


def _json_key(value: Any) -> str:
    """As JSON itself spells a scalar; keys that are records or tuples have no spelling."""
    if type(value) not in _PLAIN and not isinstance(value, str | int | float | bytes | enum.Enum):
        raise TypeError(f"a key must be str or another scalar to be written as JSON, not {type(value).__name__}")
    spelled = _json_scalar(value)
    if isinstance(spelled, str):
        return spelled
    return json.dumps(spelled)


def _duration(value: timedelta) -> str:
    """ISO 8601, in days and seconds."""
    sign, span = ("-", -value) if value < timedelta(0) else ("", value)
    seconds = f"{span.seconds}.{span.microseconds:06d}".rstrip("0").rstrip(".") if span.microseconds else span.seconds
    return f"{sign}P{span.days}DT{seconds}S"


def pydantic_schema(cls: type, source: Any, handler: Any) -> Any:
    """What `__get_pydantic_core_schema__` of every answer is: pydantic is loaded already where it is called."""
    from tierstore.answers_pydantic import schema_of

    return schema_of(cls, source, handler)


class GenericAnswer(NamedTuple):
    """The mark of a parametrised named tuple, whose own method pydantic does not ask."""

    cls: type

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return pydantic_schema(self.cls, source, handler)


def generic_answer(cls: type[T]) -> type[T]:
    """A named tuple whose `cls[item]` carries the mark: pydantic would take it for an array of its fields."""
    generic: Any = cls
    plain = generic.__class_getitem__
    generic.__class_getitem__ = lambda item: Annotated[plain(item), GenericAnswer(cls)]
    return cls


class Answer:
    """A dataclass or a named tuple that a call answers with."""

    __slots__ = ()

    def asdict(self) -> dict[str, Any]:
        """All that it shows, by name, however deep."""
        plain: dict[str, Any] = to_plain(self)
        return plain

    def to_json(self) -> str:
        """`asdict` as JSON text."""
        return to_json(self)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        return pydantic_schema(cls, source, handler)
