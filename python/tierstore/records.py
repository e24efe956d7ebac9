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
    schema.replace(state=…)   bytes(schema)   schema == other   hash(schema)   copy, pickle, weakref
    schema.asdict()   schema.to_json()               # with nested records; pydantic and FastAPI take records as they are
    Point(Record)  without a kind: nested in other records only
    attach(schema, meta); schema.meta                # what a tier says of this reading; not part of the bytes

Values are checked when they are encoded (ValidationError names the field), not when the record is built. Two records are
equal when their class and their fields' bytes are equal, so -0.0 is not 0.0, NaN is NaN, and a dict's order counts. Lists and
dicts of a record are its own: who changes them changes it for every reader, so declare tuple and Sequence for values that are shared.
"""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import Callable
from types import FrameType
from typing import Any, ClassVar, NamedTuple, Self, dataclass_transform

from tierstore._native import (
    Layout,
    RecordBase,
    adopt,
    attach_meta,
    bind_kind,
    decode_as,
    field_descriptor,
    graft,
    meta_of,
    portable_bytes,
    record_bytes,
    record_equal,
    record_hash,
)
from tierstore.answers import exposed_properties, pydantic_schema, to_json, to_plain
from tierstore.layout import Shape, is_bulk, shape_of
from tierstore.record_kinds import check_kind, claim

_SHOWN_CHARACTERS = 60


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING: Any = _Missing()


class Declared(NamedTuple):
    """What `field(…)` and `removed(…)` say."""

    revision: int
    default: Any
    default_factory: Callable[[], Any] | None
    removed: Any
    exposed: bool = True


class Field(NamedTuple):
    """One field: its name, its shape (`tierstore.layout`), the revision that added it, and what an older buffer stands for."""

    name: str
    shape: Shape
    revision: int
    default: Any
    default_factory: Callable[[], Any] | None
    removed: bool
    annotation: Any = None
    exposed: bool = True

    def spec(self) -> tuple[Any, ...]:
        """What the core compiles."""
        default = None if self.default is MISSING else (self.default,)
        return (self.name, self.shape, self.revision, is_bulk(self.shape), self.removed, default, self.default_factory)


def field(
    *,
    revision: int = 1,
    default: Any = MISSING,
    default_factory: Callable[[], Any] | None = None,
    exposed: bool = True,
) -> Any:
    """A field that a revision added, that has a default, or that `asdict` and `to_json` do not show (`exposed=False`)."""
    return Declared(revision, default, default_factory, None, exposed)


def removed(annotation: Any, *, default: Any, revision: int = 1) -> Any:
    """A field that is gone: older readers find `default` in its place."""
    return Declared(revision, default, None, annotation)


class _RecordClass(type):
    """Gives each record class `__slots__ = ()`: a record has its fields and nothing else."""

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any) -> _RecordClass:
        made = super().__new__(mcs, name, bases, {"__slots__": (), **namespace}, **options)
        if bases != (RecordBase,) and "__layout__" not in vars(made):
            raise TypeError(f"{name}: an __init_subclass__ of a record class must call super().__init_subclass__(...)")
        return made


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class Record(RecordBase, metaclass=_RecordClass):
    """The base of all records. Immutable, hashable by content, safe to share between threads.

    `class Note(Record, kind=7, revision=1)`: the kind is the number that says in a buffer what the buffer holds, 0 to 61,439; higher ones
    are tierstore's own. TypeError if another class has it. The same class declared again (a reload, a cell of a notebook, a function that
    is called twice) takes it over; another class does with `replaces=Note`.
    """

    __slots__ = ()
    __record_fields__: ClassVar[tuple[Field, ...]] = ()
    __record_names__: ClassVar[tuple[str, ...]] = ()
    __declared_fields__: ClassVar[tuple[Field, ...]] = ()
    __exposed_names__: ClassVar[tuple[str, ...]] = ()
    __kind__: ClassVar[int | None] = None
    __revision__: ClassVar[int] = 1
    __oldest_reader__: ClassVar[int] = 1
    __layout__: ClassVar[Layout]

    def __init_subclass__(
        cls,
        *,
        kind: int | None = None,
        revision: int = 1,
        oldest_reader: int | None = None,
        replaces: type[Record] | None = None,
    ) -> None:
        super().__init_subclass__()
        cls.__kind__ = kind
        cls.__revision__ = revision
        cls.__oldest_reader__ = revision if oldest_reader is None else oldest_reader
        declared = _declared(cls, _names_around(sys._getframe(1)))
        _check(cls, declared)
        wire = sorted(declared, key=lambda one: (one.revision, is_bulk(one.shape)))
        cls.__record_fields__ = tuple(wire)
        cls.__declared_fields__ = tuple(declared)
        cls.__record_names__ = tuple(one.name for one in declared if not one.removed)
        _check_order(cls)
        shown = (one.name for one in declared if one.exposed and not one.removed)
        cls.__exposed_names__ = (*shown, *exposed_properties(cls))
        type.__setattr__(cls, "__match_args__", cls.__record_names__)
        places = [wire.index(one) for one in declared if not one.removed]
        layout = Layout(kind, revision, cls.__oldest_reader__, [one.spec() for one in wire], places)
        cls.__layout__ = layout
        for place, one in enumerate(wire):
            if not one.removed:
                setattr(cls, one.name, field_descriptor(layout, place))
            elif one.name in vars(cls):
                delattr(cls, one.name)
        adopt(cls, layout)
        if kind is not None:
            claim(cls, kind, replaces)
        bind_kind(layout)

    @classmethod
    def from_bytes(cls, buffer: bytes | bytearray | memoryview, *, key: bytes = b"") -> Self:
        """As `codec.decode`, for this class, even if another one has taken its kind over. CorruptError."""
        return decode_as(buffer, cls, key=key)

    @property
    def meta(self) -> Any:
        """What the tier that read this record says of it; None for a record that no tier gave."""
        return meta_of(self)

    def replace(self, /, **changes: Any) -> Self:
        """A record with these fields changed. Fields that only a newer revision knows are kept."""
        changed = type(self)(**{**{name: getattr(self, name) for name in self.__record_names__}, **changes})
        return graft(changed, self)

    __replace__ = replace

    def asdict(self) -> dict[str, Any]:
        """All that the record shows, by name: its fields in the order of the declaration, then its `exposed` properties.

        Nested records are dicts too; bytes, times and enums stay what they are. `tierstore.to_plain` does the same for any answer.
        """
        shown: dict[str, Any] = to_plain(self)
        return shown

    def to_json(self) -> str:
        """`asdict` as JSON text: bytes as base64, times as ISO 8601 in UTC with a Z. TypeError for a mapping whose keys are no scalars."""
        return to_json(self)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        return pydantic_schema(cls, source, handler)

    def __bytes__(self) -> bytes:
        """The buffer that the record came in, else its encoding for no key."""
        return record_bytes(self)

    def __eq__(self, other: object) -> bool:
        return record_equal(self, other) if isinstance(other, Record) else NotImplemented

    def __hash__(self) -> int:
        return record_hash(self)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return type(self).from_bytes(portable_bytes(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), portable_bytes(self))

    def __repr__(self) -> str:
        shown = (f"{name}={_short(getattr(self, name))}" for name in self.__record_names__)
        return f"{type(self).__name__}({', '.join(shown)})"


def attach(record: Record, meta: Any) -> None:
    """Give the record the `meta` of this reading, in place of an earlier one; not part of its value."""
    attach_meta(record, meta)


def _restore(cls: type[Record], buffer: bytes) -> Record:
    return cls.from_bytes(buffer)


def _short(value: Any) -> str:
    if isinstance(value, bytes | memoryview) and len(value) > _SHOWN_CHARACTERS:
        return f"<{len(value)} bytes>"
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 1]}…"


def _names_around(frame: FrameType) -> dict[str, Any]:
    """The local names where a class statement stands, behind the `__init_subclass__` and `__new__` that it calls."""
    outer: FrameType | None = frame
    while outer is not None and outer.f_code.co_name in {"__init_subclass__", "__new__"}:
        outer = outer.f_back
    return {} if outer is None else outer.f_locals


def _declared(cls: type[Record], names: dict[str, Any]) -> list[Field]:
    """The fields in the order of their declaration, those of the bases first. `names`: where the class statement stands."""
    fields: dict[str, Field] = {}
    for base in reversed(cls.__mro__[1:]):
        fields.update((one.name, one) for one in vars(base).get("__declared_fields__", ()))
    own = inspect.get_annotations(cls)
    for name in fields.keys() & vars(cls).keys() - own.keys():
        raise TypeError(f"{cls.__name__}.{name} is a field of its base; annotate it to declare it again")
    if not own:
        return list(fields.values())
    within = {name: value for name, value in vars(cls).items() if isinstance(value, type)}
    alone = type(cls.__name__, (), {"__annotations__": own, "__module__": cls.__module__})
    hints = typing.get_type_hints(alone, localns={**names, **within, cls.__name__: cls}, include_extras=True)
    for name in own:
        given = vars(cls).get(name, MISSING)
        if typing.get_origin(hints[name]) is ClassVar or hints[name] is ClassVar:
            if isinstance(given, Declared):
                shape = shape_of(given.removed)
                fields[name] = Field(name, shape, given.revision, given.default, None, removed=True)
            continue
        said = given if isinstance(given, Declared) else Declared(1, given, None, None)
        shape = shape_of(hints[name])
        fields[name] = Field(
            name,
            shape,
            said.revision,
            said.default,
            said.default_factory,
            removed=False,
            annotation=hints[name],
            exposed=said.exposed,
        )
    return list(fields.values())


def _check_order(cls: type[Record]) -> None:
    """What a base takes by position, its subclass takes in the same order: whoever calls it by the base's signature must not be misread."""
    for base in cls.__mro__[1:]:
        names = vars(base).get("__record_names__", ())
        kept = tuple(name for name in cls.__record_names__ if name in names)
        if kept != names:
            raise TypeError(
                f"{cls.__name__}: the positional arguments of its base {base.__name__} are ({', '.join(names)}), and here they are "
                f"({', '.join(kept)}); keep all of them in that order"
            )


def _check(cls: type[Record], fields: list[Field]) -> None:
    if cls.__kind__ is not None:
        check_kind(cls, cls.__kind__)
    if hasattr(cls, "__del__"):
        raise TypeError(f"{cls.__name__}: a record cannot have __del__; use weakref.finalize")
    for one in fields:
        if hasattr(Record, one.name):
            raise TypeError(
                f"{cls.__name__}.{one.name}: choose another name, because every record has its own {one.name}"
            )
        if not one.removed and type(one.default).__hash__ is None:
            raise TypeError(
                f"{cls.__name__}.{one.name}: all records would share this default; use field(default_factory=…)"
            )
        if not 1 <= one.revision <= cls.__revision__:
            raise TypeError(
                f"{cls.__name__}.{one.name}: revision must be from 1 to {cls.__revision__}, got {one.revision}"
            )
        has_default = one.default is not MISSING or one.default_factory is not None
        if one.revision > cls.__oldest_reader__ and not has_default:
            raise TypeError(f"{cls.__name__}.{one.name}: a field that older buffers do not have needs a default")
