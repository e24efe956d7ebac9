"""Reading a value of state as a type: msgspec reads, without coercion, and this file adds records and pydantic models.

Loaded by `values.py` when a value is first read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Final, NamedTuple, NotRequired, TypedDict, get_origin

import msgspec
from msgspec import inspect

from tierstore.errors import CorruptError, ValidationError, raise_alone
from tierstore.plan.arguments import shown
from tierstore.plan.pointer import pointer
from tierstore.records import MISSING, Record
from tierstore.stores.state.values import RAW, is_pydantic_model

KEPT_READERS: Final = 1_024
_PART: Final = re.compile(r"\.([^.\[`]+)|\[(\d+|\.\.\.)\]")
_SAFE: Final = ("Expected ", "Object missing ")
"""How those messages of msgspec begin that name types and fields, and nothing of the value."""
BYTES_LIKE: Final = (bytes, bytearray, memoryview)


class _Misfit(ValueError):
    """What a class of ours or of pydantic says of a value. msgspec adds where that value stands."""

    def __init__(self, why: str, place: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.place = place


class Reader(NamedTuple):
    """One type: how its JSON is read, and how bytes are taken."""

    name: str
    of_json: Callable[[bytes], Any]
    of_bytes: Callable[[bytes], Any]


def decode(data: bytes, type: Any, key: str | None) -> Any:
    """As `values.decode`."""
    reader = reader_of(type)
    try:
        if data.startswith(RAW):
            return reader.of_bytes(data[1:])
        value = reader.of_json(data)
    except msgspec.ValidationError as error:
        if type is not None and not data.startswith(RAW):
            decode(data, None, key)  # it fits no type if it is no JSON
        why, place = _misfit(error)
        text = f"the value does not fit type={reader.name}: {why}"
        raise_alone(ValidationError(text, place=place or "/", key=key))  # the error and its cause hold what was read
    except (msgspec.DecodeError, RecursionError):
        text = "the value is not JSON: another program wrote it, or it is damaged"
        raise_alone(CorruptError(text, key=key))
    if isinstance(value, BYTES_LIKE):  # msgspec takes text for base64
        raise ValidationError(f"the value does not fit type={reader.name}: it is JSON, not bytes", place="/", key=key)
    return value


def reader_of(type: Any) -> Reader:
    """That of an annotation, None for any value. ValidationError for what values cannot be read as."""
    try:
        return _kept_reader(type)
    except TypeError:  # an annotation that cannot be hashed
        return _make_reader(type)


to_json: Final = msgspec.json.Encoder().encode
"""Only for what `values.py` has found plain: msgspec writes NaN as null, and a set in any order."""


def builtins_of(value: Any) -> Any:
    """A date, time, span, UUID, Decimal or Struct as what stands for it in JSON."""
    return msgspec.to_builtins(value)


def _make_reader(type: Any) -> Reader:
    annotation = Any if type is None else type
    try:
        decoder = msgspec.json.Decoder(annotation, strict=True, dec_hook=_build)
        unreadable = [cls for cls in _custom_classes(inspect.type_info(annotation)) if not _is_ours(cls)]
    except (TypeError, NameError, RecursionError) as error:
        raise_alone(_unreadable(type, str(error)))
    except Exception as error:  # msgspec puts the repr of what is no annotation in its text, and some have none
        raise_alone(_unreadable(type, error.__class__.__name__))
    if unreadable:
        raise _unreadable(type, f"{unreadable[0].__qualname__} has no form in JSON")

    def of_bytes(raw: bytes) -> Any:
        return msgspec.convert(raw, annotation, strict=True, dec_hook=_build)

    name = shown(type) if get_origin(type) or not hasattr(type, "__name__") else type.__name__
    return Reader(name, decoder.decode, of_bytes)


_kept_reader = lru_cache(KEPT_READERS)(_make_reader)


def _unreadable(type: Any, why: str) -> ValidationError:
    text = f"type must be an annotation that a value can be read as, got {shown(type)}: {why}"
    return ValidationError(text, place="type")


def _custom_classes(info: Any) -> Iterator[Any]:
    """The classes that msgspec does not read by itself, wherever they stand in a type."""
    seen: set[int] = set()
    waiting = [info]
    while waiting:
        one = waiting.pop()
        if isinstance(one, tuple):
            waiting.extend(one)
        elif isinstance(one, inspect.CustomType):
            yield one.cls
        elif isinstance(one, inspect.Type | inspect.Field) and id(one) not in seen:
            seen.add(id(one))
            waiting.extend(getattr(one, name) for name in one.__struct_fields__)


def _is_ours(cls: Any) -> bool:
    return is_pydantic_model(cls) or issubclass(cls, Record)


def _build(cls: Any, plain: Any) -> Any:
    """An instance of a class that msgspec does not read by itself, of what JSON holds for it."""
    if not issubclass(cls, Record):
        return _model(cls, plain)
    try:
        fields = msgspec.convert(plain, _fields_of(cls), strict=True, dec_hook=_build)
    except msgspec.ValidationError as error:  # msgspec would hand it on without the place of the record
        raise_alone(_Misfit(*_misfit(error)))
    return cls(**fields)


@lru_cache(KEPT_READERS)
def _fields_of(cls: type[Record]) -> Any:
    """The typed dict of what the constructor takes."""
    members = {}
    for one in cls.__declared_fields__:
        if not one.removed:
            has_default = one.default is not MISSING or one.default_factory is not None
            members[one.name] = NotRequired[one.annotation] if has_default else one.annotation
    make: Any = TypedDict
    return make(cls.__name__, members)


def _model(cls: Any, plain: Any) -> Any:
    from pydantic import ValidationError as Refused

    try:
        return cls.model_validate_json(msgspec.json.encode(plain), strict=True, by_alias=True, by_name=True)
    except Refused as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise_alone(_Misfit(f"{cls.__name__} says {first['type']}", pointer(first["loc"]).removesuffix("/")))


def _misfit(error: msgspec.ValidationError) -> tuple[str, str]:
    """What of a refusal may be told, and the place, empty for the whole value."""
    why, _, where = str(error).partition(" - at `")
    place = "".join(f"/{field or index.replace('...', '…')}" for field, index in _PART.findall(where))
    if isinstance(error.__cause__, _Misfit):
        return error.__cause__.why, place + error.__cause__.place
    if error.__cause__ is not None or not why.startswith(_SAFE):
        why = "the type does not allow it"
    return why, place
