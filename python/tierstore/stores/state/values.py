"""A value of state as bytes, and back.

A `bytes` value is `RAW` and the bytes themselves; everything else is JSON text, which any program reads. What JSON cannot hold exactly is
refused when it is written, with its place: integers beyond int64, NaN and infinity, lone surrogates, nesting beyond MAX_DEPTH, two names
of one mapping that are the same as text. `reading.py` reads a value back as a type.

    dataclass, TypedDict, Record, pydantic model, mapping    object
    list, tuple, NamedTuple; set, frozenset                  array; sorted, so that equal sets are equal values
    Enum                                                     its value
    datetime, date, time, timedelta, UUID, Decimal           text, as RFC 3339, ISO 8601 and Python write them
    bytes within a value                                     base64
"""

from __future__ import annotations

import base64
import dataclasses
import enum
import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from types import ModuleType
from typing import Any, Final
from uuid import UUID

from tierstore.errors import StorageError, ValidationError, raise_alone
from tierstore.plan.pointer import pointer
from tierstore.stores.state.model import Absent, Default, Keep

RAW: Final = b"\x01"
"""The first byte of a `bytes` value. No JSON begins with it."""
MAX_DEPTH: Final = 512
SHOWN_LEVELS: Final = 8
"""How many an error names of a place that is too deep."""
MAX_INTEGER: Final = 2**63 - 1
MIN_INTEGER: Final = -(2**63)
_TEXTS: Final = (datetime, date, time, timedelta, UUID, Decimal)
_SIGNS: Final = (Absent, Default, Keep)
Path = tuple[str | int, ...]
Step = tuple[Any, Path, Any, Any]
"""A value to be made plain, its place, and the list or dict that takes it at which index or name."""


def encode(value: Any) -> bytes:
    """ValidationError, which names the place and never the value, for what is no JSON value and nothing that a type reads back."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return RAW + bytes(value)
    if _is_plain(value):
        with suppress(UnicodeEncodeError, RecursionError):  # the walk below finds the place
            return _to_json(value)
    plain = _plain(value, ())
    try:
        return _to_json(plain)
    except RecursionError:
        text = "the value is nested too deep for the stack that is left; expected fewer levels"
        raise_alone(ValidationError(text, place="/"))


def decode(data: bytes, type: Any = None, key: str | None = None) -> Any:
    """The value; `type`: an annotation that it must fit, None for plain JSON or bytes.

    ValidationError, with `key` and place, for a value that does not fit, and for a type that nothing reads; CorruptError for what is no
    JSON.
    """
    return _reading().decode(data, type, key)


def check_type(type: Any) -> None:
    """ValidationError for what `decode` cannot read as: before anything is read, or popped."""
    _reading().reader_of(type)


def same(one: bytes, other: bytes) -> bool:
    """Whether two encoded values are equal as JSON: the order of names does not count, and 1, 1.0 and True differ."""
    if one == other:
        return True
    if one.startswith(RAW) or other.startswith(RAW):
        return False
    pairs = [(decode(one), decode(other))]
    while pairs:
        left, right = pairs.pop()
        if left.__class__ is not right.__class__:
            return False
        if isinstance(left, dict):
            if left.keys() != right.keys():
                return False
            pairs.extend((left[name], right[name]) for name in left)
        elif isinstance(left, list):
            if len(left) != len(right):
                return False
            pairs.extend(zip(left, right, strict=True))
        elif left != right:
            return False
    return True


@cache
def _reading() -> ModuleType:
    """Loaded when a value is first read: it brings msgspec."""
    from tierstore.stores.state import reading

    return reading


def _to_json(plain: Any) -> bytes:
    text: bytes = _reading().to_json(plain)
    return text


def _is_plain(value: Any) -> bool:  # noqa: C901  (one line a kind of value)
    """Whether it is JSON as it stands, but for surrogates. What nearly all values are costs no second copy."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        inner: list[Any] = []
        for each in level:
            kind = each.__class__
            if kind is dict:
                for name in each:
                    if name.__class__ is not str:
                        return False
                inner.extend(each.values())
            elif kind is list:
                inner.extend(each)
            elif kind is int:
                if not MIN_INTEGER <= each <= MAX_INTEGER:
                    return False
            elif kind is float:
                if not math.isfinite(each):
                    return False
            elif kind is not str and kind is not bool and each is not None:
                return False
        if not inner:
            return True
        level = inner
    return False


def _plain(value: Any, path: Path) -> Any:
    """The value as dicts with str names, lists, str, int, float, bool and None. No recursion: the stack may be short where it is called."""
    made = [None]
    waiting: list[Step] = [(value, path, made, 0)]
    while waiting:
        value, path, into, at = waiting.pop()
        try:
            into[at], inner = _one(value, path)
        except (StorageError, MemoryError):
            raise
        except Exception as error:  # code of the value's class; what it says may hold the value
            raise_alone(_unmade(value, path, error))
        waiting.extend(reversed(inner))  # the first place is named where two are wrong
    return made[0]


def _unmade(value: Any, path: Path, error: Exception) -> ValidationError:
    text = f"a value of the class {type(value).__name__} could not be turned into JSON: {type(error).__name__}"
    return ValidationError(text, place=pointer(path))


def _one(value: Any, path: Path) -> tuple[Any, list[Step]]:
    """One value without what is in it, and the steps that put that in."""
    while isinstance(value, enum.Enum):
        if isinstance(value, _SIGNS):
            raise ValidationError(
                f"{value.name} is no value: it stands for one only as an argument", place=pointer(path)
            )
        value = value.value
    if value is None or isinstance(value, bool):
        return value, []
    if isinstance(value, str):
        return _text(value, path), []
    if isinstance(value, (int, float)):
        return _number(value, path), []
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(bytes(value)).decode(), []
    if isinstance(value, _TEXTS):
        return _reading().builtins_of(value), []
    if (dumped := _dumped(value)) is not value:
        return _one(dumped, path)
    return _container(value, path)


def _container(value: Any, path: Path) -> tuple[Any, list[Step]]:
    fields = _fields_of(value)
    if fields is None and not isinstance(value, (Sequence, AbstractSet)):
        text = "expected a JSON value, bytes, or what `type=` reads back (docs/state.md)"
        raise ValidationError(f"{text}, got {type(value).__name__}", place=pointer(path))
    if len(path) >= MAX_DEPTH:
        text = f"the value is nested too deep; expected at most {MAX_DEPTH} levels"
        raise ValidationError(text, place=pointer(path[:SHOWN_LEVELS]))
    if fields is not None:
        return _object(fields, path)
    if isinstance(value, AbstractSet):
        return sorted((_plain(each, path) for each in value), key=_to_json), []
    items: list[Any] = [None] * len(value)
    return items, [(each, (*path, index), items, index) for index, each in enumerate(value)]


def _object(fields: Mapping[Any, Any], path: Path) -> tuple[Any, list[Step]]:
    made: dict[str, Any] = {}
    steps: list[Step] = []
    for key, each in fields.items():
        name = _name(key, path)
        if name in made:
            raise ValidationError("two names of a mapping are the same in JSON", place=pointer((*path, name)))
        made[name] = None
        steps.append((each, (*path, name), made, name))
    return made, steps


def _fields_of(value: Any) -> Mapping[Any, Any] | None:
    """What becomes an object: the names and what stands under them."""
    if isinstance(value, Mapping):
        return value
    cls: Any = value.__class__
    if (names := getattr(cls, "__record_names__", None)) is not None:
        return {name: getattr(value, name) for name in names}
    if dataclasses.is_dataclass(cls):
        return {one.name: getattr(value, one.name) for one in dataclasses.fields(cls)}
    return None


def _dumped(value: Any) -> Any:
    """What a pydantic model or a msgspec Struct makes of itself; anything else as it is."""
    cls = value.__class__
    if is_pydantic_model(cls):
        return value.model_dump(mode="json", by_alias=False, round_trip=True)
    if hasattr(cls, "__struct_fields__"):
        return _reading().builtins_of(value)
    return value


def is_pydantic_model(cls: Any) -> bool:
    """Without importing pydantic."""
    return hasattr(cls, "__pydantic_serializer__") and hasattr(cls, "model_validate_json")


def _name(key: Any, path: Path) -> str:
    """A name of an object; numbers, ids, dates and enums are names as their text."""
    while isinstance(key, enum.Enum):
        key = key.value
    if isinstance(key, str):
        return _text(key, path)
    if isinstance(key, int) and not isinstance(key, bool):
        return str(_number(key, path))
    if isinstance(key, _TEXTS):
        named: str = _reading().builtins_of(key)
        return named
    text = "the names of a mapping must be str, int, UUID, date, datetime or an Enum of these"
    raise ValidationError(f"{text}, got {type(key).__name__}", place=pointer(path))


def _text(value: str, path: Path) -> str:
    plain = str.__str__(value)
    if not plain.isascii() and any("\ud800" <= character <= "\udfff" for character in plain):
        raise ValidationError("the text contains a lone surrogate, which UTF-8 cannot encode", place=pointer(path))
    return plain


def _number(value: float, path: Path) -> float:
    if isinstance(value, int):
        if not MIN_INTEGER <= value <= MAX_INTEGER:
            raise ValidationError("expected an integer of at most 64 bits, signed", place=pointer(path))
        return int(value)
    if not math.isfinite(value):
        raise ValidationError("expected a finite number; JSON has no NaN and no infinity", place=pointer(path))
    return float(value)
