"""Records: typed, immutable values that cross processes as bytes and are read lazily from them.

    class State(enum.Enum):
        ACTIVE = "active"

    class Schema(Record, kind=1, revision=2):        # oldest_reader=… defaults to revision
        id: str
        state: State
        created_at: datetime                         # aware; read back in UTC, microseconds
        metadata: JSON                               # layout.py lists the types
        content: bytes
        owner: str | None = field(revision=2, default=None)      # what revision 2 added, with the default for older buffers
        note: ClassVar = removed(str, default="")                 # a field that is gone: it keeps its place in the bytes

    schema = Schema(id=…, state=State.ACTIVE, …)     # from a row: Schema(*row) in the order of the declaration
    buffer = codec.encode(schema, key=b"ts1:…")      # for the tiers; the key is under the checksum
    codec.decode(buffer, key=b"ts1:…")               # any class, by kind; CorruptError. Older revisions get defaults
    codec.decode_current(buffer, Schema, key=b"ts1:…")   # the tiers' rule: revision ≥ this class's, oldest reader ≤ it; all sums checked
    schema.replace(state=…)   schema.asdict()   bytes(schema)   schema == other   hash(schema)   copy, pickle, weakref
    Point(Record)  without a kind: nested in other records only
    attach(schema, meta); schema.meta                # what a tier says of this reading; not part of the bytes

Values are checked when they are encoded (ValidationError names the field), not when the record is built.
"""

from __future__ import annotations

import typing
from typing import Any, ClassVar, NamedTuple, Self, dataclass_transform

from tierstore import wire
from tierstore.layout import Shape, is_bulk, shape_of


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING: Any = _Missing()


class Declared(NamedTuple):
    """What `field(…)` and `removed(…)` say."""

    revision: int
    default: Any
    default_factory: Any
    removed: Any


class Field(NamedTuple):
    """One field on the wire, in wire order."""

    name: str
    shape: Shape
    revision: int
    default: Any
    default_factory: Any
    removed: bool

    def make_default(self) -> Any:
        return self.default if self.default_factory is None else self.default_factory()


def field(*, revision: int = 1, default: Any = MISSING, default_factory: Any = None) -> Any:
    """A field that a revision added, or that has a default."""
    return Declared(revision, default, default_factory, None)


def removed(annotation: Any, *, default: Any, revision: int = 1) -> Any:
    """A field that is gone: older readers find `default` in its place."""
    return Declared(revision, default, None, annotation)


_by_kind: dict[int, type[Record]] = {}


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class Record:
    """The base of all records; see the module's docstring."""

    __slots__ = ("__weakref__", "_meta", "_values")
    __record_fields__: ClassVar[tuple[Field, ...]] = ()
    __kind__: ClassVar[int | None] = None
    __revision__: ClassVar[int] = 1
    __oldest_reader__: ClassVar[int] = 1

    def __init_subclass__(cls, *, kind: int | None = None, revision: int = 1, oldest_reader: int | None = None) -> None:
        cls.__kind__ = kind
        cls.__revision__ = revision
        cls.__oldest_reader__ = revision if oldest_reader is None else oldest_reader
        declared = _declared(cls)
        cls.__match_args__ = tuple(f.name for f in declared if not f.removed)
        cls.__record_fields__ = tuple(sorted(declared, key=lambda f: (f.revision, is_bulk(f.shape))))
        for f in declared:
            if f.removed:
                delattr(cls, f.name)
            else:
                setattr(cls, f.name, property(lambda self, name=f.name: self._values[name]))
        if kind is not None:
            _by_kind[kind] = cls

    def __init__(self, *args: Any, **values: Any) -> None:
        values.update(zip(self.__match_args__, args, strict=False))
        for f in self.__record_fields__:
            if not f.removed and f.name not in values:
                if (default := f.make_default()) is MISSING:
                    raise TypeError(f"{type(self).__name__}() misses {f.name!r}")
                values[f.name] = default
        if len(values) != len(self.__match_args__):
            raise TypeError(f"{type(self).__name__}() has no field {set(values) - set(self.__match_args__)!r}")
        object.__setattr__(self, "_values", values)
        object.__setattr__(self, "_meta", None)

    @property
    def meta(self) -> Any:
        return self._meta

    def replace(self, **changes: Any) -> Self:
        return type(self)(**{**self.asdict(), **changes})

    def asdict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__match_args__}

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable: use replace({name}=…)")

    def __bytes__(self) -> bytes:
        return wire.encode(self)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and bytes(self) == bytes(other)  # type: ignore[call-overload]

    def __hash__(self) -> int:
        return hash(bytes(self))

    def __reduce__(self) -> Any:
        return type(self), tuple(self.asdict().values())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r:.60}' for k, v in self.asdict().items())})"


def attach(record: Record, meta: Any) -> None:
    """Give the record the `meta` of this reading; not part of its value."""
    object.__setattr__(record, "_meta", meta)


def _declared(cls: type[Record]) -> list[Field]:
    fields: dict[str, Field] = {f.name: f for f in cls.__record_fields__}
    hints = typing.get_type_hints(cls, None, {cls.__name__: cls}, include_extras=True)
    for name in cls.__dict__.get("__annotations__", {}):
        given = cls.__dict__.get(name, MISSING)
        if typing.get_origin(hints[name]) is ClassVar or hints[name] is ClassVar:
            if isinstance(given, Declared):
                fields[name] = Field(name, shape_of(given.removed), given.revision, given.default, None, True)
            continue
        said = given if isinstance(given, Declared) else Declared(1, given, None, None)
        fields[name] = Field(name, shape_of(hints[name]), said.revision, said.default, said.default_factory, False)
    return list(fields.values())
