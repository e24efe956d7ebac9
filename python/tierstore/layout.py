"""From annotations to shapes: what a field, or a bincode type, is on the wire.

A shape is a nested tuple that the core compiles once: its first item names the type, the others are shapes or classes.

| annotation | shape |
|---|---|
| `str` `bytes` `bool` `float` `None` | `("str",)` … |
| `int` and the sized names | `("i64",)` `("u8",)` … |
| `memoryview` | `("view",)`: bytes that are handed out without a copy |
| `datetime` `date` `timedelta` `UUID` `Decimal` | `("datetime",)` … |
| `T \\| None` | `("option", T)` |
| `list[T]` `tuple[T, ...]` `tuple[A, B]` `dict[K, V]` | `("list", T)` `("many", T)` `("tuple", (A, B))` `("dict", K, V)` |
| `Sequence[T]` `Mapping[K, V]` of `collections.abc` | `("sequence", T)` `("mapping", K, V)`: items are built when they are asked for |
| a `NewType` | as its base |
| `Literal["a", "b"]` | as the type of its values; which of them there are is for type checkers |
| `Some[T]` | `("struct", Some, (("value", T),))`: as T, and distinct from None |
| an `Enum` class | `("enum", cls, shape of its values)` |
| a `Record` class | `("record", cls)` |
| a dataclass, a union of dataclasses (bincode only) | `("struct", cls, ((name, T), …))` `("union", ((cls, struct), …))` |
| `JSON` | `("json",)` |
"""

from __future__ import annotations

import collections.abc
import dataclasses
import enum
import types
import typing
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, NamedTuple, TypeAlias, TypeVar, Union
from uuid import UUID

Shape = tuple[Any, ...]


class Sized(NamedTuple):
    """The mark inside a sized name: which wire type stands for the int, float or str."""

    name: str


u8 = Annotated[int, Sized("u8")]
u16 = Annotated[int, Sized("u16")]
u32 = Annotated[int, Sized("u32")]
u64 = Annotated[int, Sized("u64")]
u128 = Annotated[int, Sized("u128")]
i8 = Annotated[int, Sized("i8")]
i16 = Annotated[int, Sized("i16")]
i32 = Annotated[int, Sized("i32")]
i64 = Annotated[int, Sized("i64")]
i128 = Annotated[int, Sized("i128")]
f32 = Annotated[float, Sized("f32")]
f64 = Annotated[float, Sized("f64")]
char = Annotated[str, Sized("char")]

_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True, slots=True)
class Some(Generic[_T]):
    """A value that is there, where None could be that value: `Some[T | None] | None` is an option of an option."""

    value: _T

    if not TYPE_CHECKING:

        def __class_getitem__(cls, item: Any) -> Any:
            """`typing` would answer for `Some[A | B]` what it made of `Some[B | A]`, and the order of a union is that of its variants."""
            if isinstance(item, tuple):
                raise TypeError(f"Some must have one type, got {len(item)}")
            return types.GenericAlias(cls, item)


JSON: TypeAlias = Annotated[Any, Sized("json")]
"""A JSON value: None, bool, int (i64 or u64), float, str, list, dict with str keys."""

_PLAIN: dict[Any, Shape] = {
    str: ("str",),
    bytes: ("bytes",),
    memoryview: ("view",),
    bool: ("bool",),
    int: ("i64",),
    float: ("f64",),
    None: ("none",),
    type(None): ("none",),
    datetime: ("datetime",),
    date: ("date",),
    timedelta: ("timedelta",),
    UUID: ("uuid",),
    Decimal: ("decimal",),
}

_BULK = frozenset({"bytes", "view", "json", "list", "many", "dict", "sequence", "mapping", "record"})


def is_bulk(shape: Shape) -> bool:
    """Whether a field of this shape stands behind the small ones of its revision."""
    return is_bulk(shape[1]) if shape[0] == "option" else shape[0] in _BULK


def shape_of(annotation: Any) -> Shape:
    """The shape of a resolved annotation. TypeError if it has none."""
    try:
        plain = _PLAIN.get(annotation)
    except TypeError:
        plain = None
    if plain is not None:
        return plain
    if isinstance(annotation, typing.NewType):
        return shape_of(annotation.__supertype__)
    origin = typing.get_origin(annotation)
    if origin is None:
        return _class_shape(annotation)
    if origin is Annotated:
        return _annotated_shape(annotation)
    if origin is Literal:
        return _values_shape(typing.get_args(annotation), repr(annotation))
    if origin in (Union, types.UnionType):
        return _union_shape(typing.get_args(annotation))
    build = _GENERIC.get(origin)
    if build is None:
        raise TypeError(f"a field cannot be {annotation!r}; tierstore.layout lists the types that it can be")
    return build(typing.get_args(annotation))


def _annotated_shape(annotation: Any) -> Shape:
    base, *marks = typing.get_args(annotation)
    for mark in marks:
        if isinstance(mark, Sized):
            return (mark.name,)
    return shape_of(base)


def _union_shape(members: tuple[Any, ...]) -> Shape:
    some = tuple(member for member in members if member not in (None, type(None)))
    if len(some) < len(members):
        return ("option", shape_of(some[0]) if len(some) == 1 else _union_shape(some))
    structs = tuple((member, shape_of(member)) for member in some)
    if any(shape[0] != "struct" for _, shape in structs):
        raise TypeError(f"a union must be of dataclasses, or of one type and None, not {some!r}")
    return ("union", structs)


def _tuple_shape(items: tuple[Any, ...]) -> Shape:
    if len(items) == 2 and items[1] is Ellipsis:
        return ("many", shape_of(items[0]))
    return ("tuple", () if items == ((),) else tuple(shape_of(item) for item in items))


_GENERIC: dict[Any, Callable[[tuple[Any, ...]], Shape]] = {
    list: lambda items: ("list", shape_of(items[0])),
    tuple: _tuple_shape,
    dict: lambda items: ("dict", shape_of(items[0]), shape_of(items[1])),
    collections.abc.Sequence: lambda items: ("sequence", shape_of(items[0])),
    Some: lambda items: ("struct", Some, (("value", shape_of(items[0])),)),
    collections.abc.Mapping: lambda items: ("mapping", shape_of(items[0]), shape_of(items[1])),
}


def _class_shape(cls: Any) -> Shape:
    if not isinstance(cls, type):
        raise TypeError(f"a field must be a type, not {cls!r}")
    if issubclass(cls, enum.Enum):
        return ("enum", cls, _values_shape([member.value for member in cls], cls.__qualname__))
    if hasattr(cls, "__record_fields__"):
        return ("record", cls)
    if dataclasses.is_dataclass(cls):
        hints = typing.get_type_hints(cls, include_extras=True)
        for one in dataclasses.fields(cls):
            if not one.init:
                raise TypeError(f"{cls!r} cannot be a field, because its constructor does not take {one.name}")
        return ("struct", cls, tuple((f.name, shape_of(hints[f.name])) for f in dataclasses.fields(cls)))
    raise TypeError(f"a field cannot be {cls!r}; tierstore.layout lists the types that it can be")


def _values_shape(values: collections.abc.Iterable[object], owner: str) -> Shape:
    types_ = {type(value) for value in values}
    if types_ == {str}:
        return ("str",)
    if types_ == {int}:
        return ("i64",)
    raise TypeError(f"the values of {owner} must all be str or all be int")
