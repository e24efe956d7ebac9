"""Records that are declared or filled in ways one does not think of."""

from __future__ import annotations

import array
import contextlib
import enum
import gc
import random
import struct
import subprocess
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any, Generic, NewType, TypeVar
from unittest.mock import Mock
from zoneinfo import ZoneInfo

import pytest

from tierstore import _native, codec
from tierstore.errors import CorruptError, ValidationError
from tierstore.records import Record, attach, field

T = TypeVar("T")


def test_a_generic_base():
    class Box(Record, Generic[T]):
        size: int

    class Full(Box[str], kind=60022):
        label: str

    assert codec.decode(codec.encode(Full(3, "x"))) == Full(3, "x")


NoteId = NewType("NoteId", str)


def test_a_new_type_is_its_base():
    class Named(Record):
        id: NoteId

    assert Named.from_bytes(bytes(Named(NoteId("n1")))).id == "n1"


def test_a_record_that_holds_its_like():
    class Tree(Record, kind=60023):
        value: int
        children: list[Tree]
        by_name: Mapping[str, Tree]

    leaf = Tree(2, [], {})
    tree = codec.decode(codec.encode(Tree(1, [leaf], {"leaf": leaf})))
    assert (tree.children[0], tree.by_name["leaf"].value) == (leaf, 2)


def declared(**names: Any) -> type:
    bases = names.pop("bases", (Record,))
    return type("Wrong", bases, {"__annotations__": {"a": "int"}, **names})


class Named(Record):
    a: int


@pytest.mark.parametrize(
    "declare",
    [
        lambda: declared(__annotations__={"meta": "int"}),
        lambda: declared(__annotations__={"replace": "int"}),
        lambda: declared(__annotations__={"a": "list[int]"}, a=[]),
        lambda: declared(__annotations__={"b": "int"}, bases=(Named,), a=7),
        lambda: declared(__annotations__={}, bases=(Named,), a=property(lambda record: 7)),
        lambda: declared(__del__=lambda record: None),
        lambda: declared(__slots__=("b",)),
        lambda: declared(bases=(Record, type("Plain", (), {}))),
        lambda: types.new_class("Wrong", (Record,), {"kind": -1}),
        lambda: types.new_class("Wrong", (Record,), {"kind": 65_535}),
    ],
)
def test_declarations_that_would_surprise_are_refused(declare: Callable[[], type]):
    with pytest.raises(TypeError):
        declare()


def test_numbers_at_their_ends():
    class Ends(Record):
        price: Decimal
        span: timedelta
        real: float
        short: codec.f32

    for price in ("NaN", "sNaN", "-NaN123", "-Infinity", "-0", "0E+5", "1E+999999", "1E-10000000", "1" * 5000):
        for span in (timedelta.min, timedelta.max, -timedelta.resolution):
            received = Ends.from_bytes(bytes(Ends(Decimal(price), span, 0.0, -0.0)))
            assert (str(received.price), received.span) == (price, span)
    for bits in (0x7FF8000000000001, 0xFFF8DEADBEEF0001, 0x7FF0000000000001):
        real = struct.unpack("<d", struct.pack("<Q", bits))[0]
        assert struct.pack("<d", Ends.from_bytes(bytes(Ends(Decimal(0), timedelta(), real, 1.0))).real) == struct.pack(
            "<Q", bits
        )


def test_a_subclass_of_decimal_has_no_say_in_the_bytes():
    class Loud(Decimal):
        def __str__(self) -> str:
            return "loud"

    class Priced(Record):
        price: Decimal

    assert Priced.from_bytes(bytes(Priced(Loud("1.50")))).price == Decimal("1.50")


def test_datetimes_of_odd_zones_and_folds():
    class At(Record):
        when: datetime

    berlin = ZoneInfo("Europe/Berlin")
    for when in (
        datetime(2026, 10, 25, 2, 30, tzinfo=berlin),
        datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=berlin),
        datetime(2026, 1, 1, tzinfo=timezone(timedelta(microseconds=1))),
        datetime(1, 1, 1, 5, tzinfo=timezone(timedelta(hours=5))),
        datetime.max.replace(tzinfo=UTC),
    ):
        assert At.from_bytes(bytes(At(when))).when == when.astimezone(UTC)


def test_any_memory_is_taken_as_bytes_whatever_its_items():
    class Held(Record):
        view: memoryview

    for view in (memoryview(b"abcdef")[::2], memoryview(array.array("i", [1, -2])), memoryview(b"abcd").cast("H")):
        received = Held.from_bytes(bytes(Held(view)))
        assert bytes(received.view) == view.tobytes()
    kept = Held.from_bytes(bytes(Held(memoryview(b"x" * 100_000)))).view
    gc.collect()
    assert kept.readonly
    assert bytes(kept) == b"x" * 100_000


def test_two_keys_that_become_one_are_refused():
    class Table(Record):
        rows: dict[codec.f32, int]

    with pytest.raises(ValidationError):
        codec.encode(Table({1.0: 1, 1.0 + 1e-12: 2}))


def test_values_of_another_class_of_records_end_in_errors_only():
    class Short(Record):
        a: int

    class Long(Record):
        a: str
        b: list[str]

    record = Short.from_bytes(bytes(Short(7)))
    record.__class__ = Long
    for read in (lambda: record.a, lambda: record.b, lambda: hash(record)):
        with contextlib.suppress(CorruptError, AttributeError, ValidationError):
            read()


class Leaf(Record):
    tags: Sequence[str]
    rows: Mapping[int, bytes]


class Large(Record, kind=60030):
    names: Sequence[str]
    leaf: Leaf
    rows: Mapping[str, bytes]
    leaves: Sequence[Leaf]
    maybe: Mapping[str, Leaf] | None


def large(source: random.Random) -> Large:
    def size() -> int:
        return source.choice((0, 1, 250, 251, 3_000, 9_000))

    def leaf() -> Leaf:
        rows = {number: source.randbytes(size()) for number in range(source.randrange(5))}
        return Leaf(tuple("x" * size() for _ in range(source.randrange(4))), rows)

    rows = {f"row_{number}": source.randbytes(size()) for number in range(8)}
    leaves = tuple(leaf() for _ in range(3))
    return Large(("a", "é" * size(), "c" * 20_000), leaf(), rows, leaves, source.choice((None, {"one": leaf()})))


@pytest.mark.parametrize("seed", range(30))
def test_lazy_fields_of_large_records_in_any_order(seed: int):
    source = random.Random(seed)
    record = large(source)
    received = Large.from_bytes(bytes(record))
    reads: list[Callable[[Large], object]] = [
        lambda one: tuple(one.names),
        lambda one: one.names[-1],
        lambda one: one.names[1],
        lambda one: dict(one.rows),
        lambda one: one.rows["row_7"],
        lambda one: one.rows.get("row_8"),
        lambda one: one.rows["row_0"],
        lambda one: [tuple(leaf.tags) for leaf in one.leaves],
        lambda one: dict(one.leaves[2].rows),
        lambda one: dict(one.leaf.rows),
        lambda one: one.maybe and dict(one.maybe["one"].rows),
    ]
    for read in source.choices(reads, k=30):
        assert read(received) == read(record)
    assert received == record
    flipped = bytearray(bytes(record))
    flipped[source.randrange(32, len(flipped))] ^= 1 << source.randrange(8)
    with contextlib.suppress(CorruptError):
        damaged = Large.from_bytes(bytes(flipped))
        for read in source.choices(reads, k=30):
            with contextlib.suppress(CorruptError):
                assert read(damaged) == read(record)


OTHER_INTERPRETER = """
import importlib.util, sys
name = next(name for name in ("_interpreters", "_xxsubinterpreters") if importlib.util.find_spec(name))
interpreters = __import__(name)
import tierstore.records
other = interpreters.create()
program = "import sys; sys.path[:] = {!r}; import tierstore.records".format(sys.path)
try:
    outcome = interpreters.run_string(other, program)
except Exception as error:
    outcome = error
print("ImportError" in repr(outcome) or "ImportError" in str(outcome))
"""


def test_another_interpreter_of_the_process_is_refused_at_import():
    done = subprocess.run(
        [sys.executable, "-c", OTHER_INTERPRETER], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "True"), done.stderr


class Plain(Record, kind=60160):
    name: str
    size: int


class Pretender:
    """Says of itself that it is a record; so do the mocks of the standard library."""

    __class__ = Plain
    __layout__ = Plain.__layout__
    __slots__ = ()


@pytest.mark.parametrize("pretender", [Pretender(), Mock(spec=Plain)])
def test_what_only_says_that_it_is_a_record_is_none(pretender):
    record = Plain("n", 1)
    for call in (
        lambda: codec.encode(pretender),
        lambda: attach(pretender, [1]),
        lambda: _native.meta_of(pretender),
        lambda: _native.graft(record, pretender),
    ):
        with pytest.raises(TypeError):
            call()
    assert record != pretender


def test_a_class_that_forgets_its_bases_is_refused():
    class Base(Record):
        name: str

        def __init_subclass__(cls):
            pass

    with pytest.raises(TypeError, match="super"):

        class Child(Base):
            size: int


def test_names_from_where_the_class_statement_stands():
    class Kinds(enum.Enum):
        A = "a"

    class Meta(type(Record)):
        def __new__(mcs, name, bases, namespace, **options):
            Kinds = 5  # noqa: F841, N806
            return super().__new__(mcs, name, bases, namespace, **options)

    class Base(Record, metaclass=Meta):
        kind: Kinds

        def __init_subclass__(cls, **options):
            super().__init_subclass__(**options)

    def elsewhere():
        class Child(Base, kind=60161):
            class State(enum.Enum):
                ON = "on"

            state: State

        return Child

    child = elsewhere()
    record = child(Kinds.A, child.State.ON)
    assert codec.decode(codec.encode(record)) == record


class Floats(Record, kind=60162):
    by_float: dict[float, int]


class Moments(Record, kind=60163):
    by_moment: dict[datetime, int]


class Shorts(Record, kind=60164):
    by_pair: dict[tuple[codec.f32, int], int]


class Names(Record, kind=60165):
    by_name: Mapping[str, int]


class Own(str):
    """Equal to itself only."""

    __slots__ = ()
    __hash__ = object.__hash__

    def __eq__(self, other):
        return self is other


class Doubled(Mapping):
    def __getitem__(self, name):
        return 1

    def __iter__(self):
        return iter(["a", "a"])

    def __len__(self):
        return 2


@pytest.mark.parametrize(
    "record",
    [
        Floats({2**53: 1, 2**53 + 1: 2}),
        Moments(
            {
                datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")): 1,
                datetime(2026, 10, 25, 1, 30, tzinfo=UTC): 2,
            }
        ),
        Shorts({(0.1, 1): 1, (0.1 + 1e-12, 1): 2}),
        Names({Own("a"): 1, "a": 2}),
        Names(Doubled()),
    ],
)
def test_keys_that_would_be_one_are_refused(record):
    with pytest.raises(ValidationError, match="two keys"):
        codec.encode(record)


def test_records_with_older_ones_within_are_equal_by_their_values():
    class OldInner(Record):
        a: int

    class OldOuter(Record, kind=60166):
        inner: OldInner
        many: list[OldInner]

    class Inner(Record, revision=2, oldest_reader=1):
        a: int
        b: int = field(revision=2, default=7)

    class Outer(Record, kind=60166, replaces=OldOuter):
        inner: Inner
        many: list[Inner]

    old = Outer.from_bytes(codec.encode(OldOuter(OldInner(1), [OldInner(2)])))
    now = Outer(Inner(1), [Inner(2)])
    assert old.asdict() == now.asdict()
    assert old == now
    assert hash(old) == hash(now)
    assert old != Outer(Inner(1, 8), [Inner(2)])
    assert codec.encode(old) != codec.encode(now)  # what came stays as it came


def test_an_interrupt_is_no_answer():
    """The abstract classes of the standard library run Python code to say what a mapping is."""

    class Odd(Mapping):
        def __getitem__(self, name):
            raise KeyError(name)

        def __iter__(self):
            raise KeyboardInterrupt

        def __len__(self):
            return 1

    with pytest.raises(KeyboardInterrupt):
        codec.encode(Names(Odd()))

    class Moment(tzinfo):
        def utcoffset(self, moment):
            raise KeyboardInterrupt

    class ByMoment(Record, kind=60167):
        lazy: Mapping[datetime, int]

    received = codec.decode(codec.encode(ByMoment({datetime(2026, 1, 1, tzinfo=UTC): 1})))
    with pytest.raises(KeyboardInterrupt):
        received.lazy.get(datetime(2026, 1, 1, tzinfo=Moment()))
    assert received.lazy.get("no moment") is None


def test_lazy_ones_are_like_a_tuple_and_a_dict():
    class Lazy(Record, kind=60168):
        items: Sequence[str]
        names: Mapping[str, int]

    lazy = codec.decode(codec.encode(Lazy(["a", "b", "a"], {"x": 1, "y": 2})))
    assert lazy.items == ["a", "b", "a"] == list(lazy.items)
    assert lazy.items == ("a", "b", "a")
    assert lazy.items == codec.decode(codec.encode(lazy)).items
    assert all(lazy.items != other for other in ("aba", {"a": 1, "b": 2}, {"a", "b"}, None, 3))
    assert (lazy.items.index("a"), lazy.items.index("a", 1), lazy.items.index("a", -1, 3)) == (0, 2, 2)
    with pytest.raises(ValueError, match="not in"):
        lazy.items.index("b", 2)
    assert lazy.names.keys() & {"x", "z"} == {"x"}
    assert lazy.names.items() >= {("y", 2)}
    assert list(lazy.names.values()) == [1, 2]
    assert list(lazy.names) == ["x", "y"]
