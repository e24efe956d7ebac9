"""How pydantic, and so FastAPI, sees what the library returns. Loaded when pydantic asks, and never before.

A class is validated and described as the typed dict of what it shows, and written as `to_plain` or `to_json` write it. An instance
passes as it is. A dict becomes an instance where its fields are all that it shows; what only a store can make is taken as it is or not
at all.
"""

from __future__ import annotations

import base64
import binascii
import collections.abc
import dataclasses
import types
import typing
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, NamedTuple, NewType, Union

import pydantic
import typing_extensions
from pydantic_core import PydanticCustomError, PydanticSerializationUnexpectedValue, core_schema

from tierstore.answers import exposed_names, json_ready, to_plain
from tierstore.errors import raise_alone
from tierstore.layout import Sized

_INTEGER_BITS = {
    name: (name[0] == "i", int(name[1:]))
    for name in ["u8", "u16", "u32", "u64", "u128", "i8", "i16", "i32", "i64", "i128"]
}

INPUT = "Input"
"""The end of the name of what a constructor takes, where that is less than what an instance shows."""
EXACT_BITS = 53
"""Wider bounds are left out: FastAPI writes a bound as a float, which would be another number."""


class Member(NamedTuple):
    """One name of a class: its annotation, whether the constructor takes it, and whether it must be given to it."""

    annotation: Any
    given: bool = True
    required: bool = True


def schema_of(cls: type, source: Any, handler: pydantic.GetCoreSchemaHandler) -> core_schema.CoreSchema:
    """The core schema of `source`, which is `cls` or `cls[...]`."""
    view, arguments = _views(cls, source)
    described = handler.generate_schema(view)
    taken = described if arguments is None else handler.generate_schema(arguments)

    def build(value: Any, validate: Callable[[Any], Any]) -> Any:
        if isinstance(value, cls):
            return value
        if arguments is None:
            raise PydanticCustomError(
                "tierstore_instance",
                "Input should be an instance of {name}, which only a store makes",
                {"name": cls.__name__},
            )
        return cls(**validate(value))

    def write(value: Any, info: pydantic.SerializationInfo) -> Any:
        if not isinstance(value, cls):
            raise PydanticSerializationUnexpectedValue(f"expected {cls.__name__}, got {type(value).__name__}")
        plain = json_ready(value) if info.mode == "json" else to_plain(value)
        return _picked(plain, info.include, info.exclude)

    written: Any = {**described, "serialization": core_schema.simple_ser_schema("any")}
    serialization = core_schema.plain_serializer_function_ser_schema(write, info_arg=True, return_schema=written)
    return core_schema.no_info_wrap_validator_function(build, taken, serialization=serialization)


def _picked(value: Any, include: Any, exclude: Any) -> Any:
    """Part of a dict or a sequence, as pydantic's `include` and `exclude` say: sets of names, or mappings of names to more of them."""
    if not isinstance(value, dict | list | tuple) or (include is None and exclude is None):
        return value
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    picked = {}
    for name, each in pairs:
        kept, dropped = _within(include, name), _within(exclude, name)
        if (include is None or kept) and dropped is not True:
            picked[name] = _picked(each, None if kept is True else kept, dropped)
    return picked if isinstance(value, dict) else type(value)(picked.values())


def _within(choice: Any, name: object) -> Any:
    """What `include` or `exclude` says of `name`: None for nothing, True for all of it, else what it says of the inside."""
    if isinstance(choice, collections.abc.Mapping):
        inner = choice.get(name, choice.get("__all__"))
        return True if inner is Ellipsis else inner or None
    return True if choice is not None and (name in choice or "__all__" in choice) else None


@cache
def _views(cls: type, source: Any) -> tuple[Any, Any]:
    """The typed dict of what `source` shows, and that of what its constructor takes: None if only a store can make one."""
    members = _members(cls, source)
    shown = {name: _spelled(members[name].annotation) for name in exposed_names(cls) or ()}
    view = _typed_dict(cls, source, shown)
    makeable = hasattr(cls, "__declared_fields__") or hasattr(cls, "_fields") or dataclasses.is_dataclass(cls)
    if not makeable or any(one.required and name not in shown for name, one in members.items()):
        return view, None
    given = {
        name: _spelled(one.annotation) if one.required else typing_extensions.NotRequired[_spelled(one.annotation)]
        for name, one in members.items()
        if one.given and name in shown
    }
    return view, view if given == shown else _typed_dict(cls, source, given, INPUT)


def _typed_dict(cls: type, source: Any, members: dict[str, Any], suffix: str = "") -> Any:
    arguments = ", ".join(getattr(one, "__name__", str(one)) for one in typing.get_args(source))
    name = cls.__name__ + suffix + (f"[{arguments}]" if arguments else "")
    make: Any = typing_extensions.TypedDict
    made = make(name, members)
    made.__module__, made.__qualname__, made.__doc__ = cls.__module__, name, cls.__doc__
    return made


def _members(cls: Any, source: Any) -> dict[str, Member]:
    if hasattr(cls, "__declared_fields__"):
        fields = {
            one.name: Member(one.annotation, required=one.spec()[5] is None and one.default_factory is None)
            for one in cls.__declared_fields__
            if not one.removed
        }
    else:
        fields = _plain_members(cls, source)
    others = [name for name in exposed_names(cls) or () if name not in fields]
    return fields | {name: Member(_answered(cls, name), given=False, required=False) for name in others}


def _plain_members(cls: Any, source: Any) -> dict[str, Member]:
    """Of a named tuple or a dataclass; `source` says what its type variables stand for."""
    names = cls._fields if hasattr(cls, "_fields") else ()
    optional = set(getattr(cls, "_field_defaults", ()))
    if dataclasses.is_dataclass(cls):
        names = tuple(one.name for one in dataclasses.fields(cls))
        optional = {
            one.name
            for one in dataclasses.fields(cls)
            if not (one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING)
        }
    hints = typing.get_type_hints(cls, include_extras=True)
    variables = dict(zip(getattr(cls, "__parameters__", ()), typing.get_args(source), strict=False))
    return {name: Member(_filled(hints[name], variables), required=name not in optional) for name in names}


def _filled(hint: Any, variables: dict[Any, Any]) -> Any:
    if isinstance(hint, typing.TypeVar):
        return variables.get(hint, Any)
    open_ = getattr(hint, "__parameters__", ())
    return hint[tuple(variables.get(one, Any) for one in open_)] if open_ else hint


def _answered(cls: Any, name: str) -> Any:
    """What a property or an attribute is annotated with; Any if it is not."""
    member = getattr(cls, name, None)
    if isinstance(member, property):
        return typing.get_type_hints(member.fget, include_extras=True).get("return", Any)
    return typing.get_type_hints(cls, include_extras=True).get(name, Any)


def _spelled(annotation: Any) -> Any:
    """The annotation as pydantic should read it: bytes are base64 in JSON, sized numbers have bounds."""
    if annotation in (bytes, memoryview):
        return _BASE64
    if isinstance(annotation, NewType):
        return _spelled(annotation.__supertype__)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        mark = next((one.name for one in arguments[1:] if isinstance(one, Sized)), None)
        return _sized(mark) if mark is not None else Annotated[(_spelled(arguments[0]), *arguments[1:])]
    if origin in (Union, types.UnionType):
        return Union[tuple(_spelled(one) for one in arguments)]  # noqa: UP007  # of a tuple
    if origin in (list, dict, tuple, collections.abc.Sequence, collections.abc.Mapping):
        return origin[tuple(one if one is Ellipsis else _spelled(one) for one in arguments)]
    return annotation


def _sized(mark: str) -> Any:
    if mark in _INTEGER_BITS:
        signed, bits = _INTEGER_BITS[mark]
        if bits > EXACT_BITS:
            return int if signed else Annotated[int, pydantic.Field(ge=0)]
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
        return Annotated[int, pydantic.Field(ge=low, le=high)]
    if mark == "char":
        return Annotated[str, pydantic.Field(min_length=1, max_length=1)]
    return Any if mark == "json" else float


def _decoded(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise_alone(PydanticCustomError("base64", "Input should be base64"))


_BASE64 = Annotated[
    bytes,
    pydantic.BeforeValidator(_decoded),
    pydantic.WithJsonSchema({"type": "string", "contentEncoding": "base64"}),
]
