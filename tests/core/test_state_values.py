"""Values of state as bytes: what is exact, what is refused and where, what a type reads back, and what equal means."""

from __future__ import annotations

import dataclasses
import enum
import json
import math
import subprocess
import sys
import typing
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, Literal, NamedTuple, TypedDict
from uuid import UUID, uuid4

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierstore.errors import CorruptError, ValidationError
from tierstore.layout import JSON, u64
from tierstore.records import Record, field
from tierstore.stores.state import values

INT64 = st.integers(-(2**63), 2**63 - 1)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | INT64 | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1


class Point(NamedTuple):
    x: int
    y: float


class Options(TypedDict, total=False):
    name: str
    size: int


class Note(Record):
    id: UUID
    text: str
    at: datetime
    body: bytes
    extra: JSON
    size: u64 = 3
    tags: tuple[str, ...] = field(default_factory=tuple)


class Pinned(Record):
    note: Note
    place: int


class Model(pydantic.BaseModel):
    count: int
    at: datetime | None = None
    other: str = pydantic.Field(default="x", alias="anders")


class Many(pydantic.RootModel[list[int]]):
    pass


class Struct(msgspec.Struct, rename="camel"):
    first_name: str
    notes: list[Point] = []


@dataclasses.dataclass
class Order:
    id: UUID
    colour: Colour
    points: list[Point]
    due: date | None = None
    options: Options = dataclasses.field(default_factory=Options)
    parts: dict[int, Decimal] = dataclasses.field(default_factory=dict)
    note: Note | None = None


NOTE = Note(
    id=UUID(int=7),
    text="é\0",
    at=datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
    body=b"\x00\xff",
    extra={"a": [1, 1.0, None]},
)
ORDER = Order(UUID(int=3), Colour.BLUE, [Point(1, 2.5)], date(2026, 2, 3), {"name": "n"}, {5: Decimal("1.10")}, NOTE)

READ_BACK: list[tuple[Any, Any]] = [
    (ORDER, Order),
    (NOTE, Note),
    (Pinned(note=NOTE, place=1), Pinned),
    ([NOTE], list[Note]),
    ({"a": NOTE}, dict[str, Note]),
    (Point(1, 2.0), Point),
    ({"name": "x", "size": 2**63 - 1}, Options),
    (Colour.RED, Colour),
    (Level.LOW, Level),
    (datetime(2026, 1, 2, 3, 4, 5, 999_999, tzinfo=UTC), datetime),
    (datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=-7, minutes=-30))), datetime),
    (datetime(2026, 1, 2, 3, 4, 5, 1), datetime),  # noqa: DTZ001  (text without an offset)
    (date(1, 1, 1), date),
    (time(23, 59, 59, 5), time),
    (timedelta(days=-1, microseconds=1), timedelta),
    (timedelta(days=400, seconds=3), timedelta),
    (UUID(int=2**128 - 1), UUID),
    (Decimal("-0.1000"), Decimal),
    ({"b", "a"}, set[str]),
    (frozenset({1, 2}), frozenset[int]),
    ((1, "a"), tuple[int, str]),
    ((1, 2, 3), tuple[int, ...]),
    ({Colour.RED: 1}, dict[Colour, int]),
    ({UUID(int=1): 1}, dict[UUID, int]),
    ({date(2026, 1, 1): 1}, dict[date, int]),
    (Model(count=1, at=datetime(2026, 1, 1, tzinfo=UTC), anders="y"), Model),
    ([Model(count=1)], list[Model]),
    (Many([1, 2]), Many),
    (Struct("Ana", [Point(1, 1.5)]), Struct),
    (b"\x00\x01", bytes),
    (b"", bytes),
    (b"", bytes | None),
    (bytearray(b"x"), bytearray),
    ([b"\xff"], list[bytes]),
    (None, int | None),
    (5, int | str),
    ("5", int | str),
    (True, bool),
    ("a", Literal["a", "b"]),
]


@pytest.mark.parametrize(("value", "type_"), READ_BACK, ids=lambda one: getattr(one, "__name__", None))
def test_what_is_written_is_read_back_as_its_type(value: Any, type_: Any):
    back = values.decode(values.encode(value), type_)
    assert back == value
    assert back.__class__ is value.__class__


@given(JSON_VALUES)
def test_json_values_are_exact(value: Any):
    text = values.encode(value)
    assert text[:1] > b"\x03"
    assert repr(values.decode(text)) == repr(value)  # 1, 1.0 and True apart, -0.0 too
    assert repr(json.loads(text)) == repr(value)  # and readable by anybody


@given(st.binary())
def test_bytes_stay_what_they_are(value: bytes):
    for given_ in (value, bytearray(value), memoryview(value)):
        assert values.decode(values.encode(given_)) == value


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63), 2**53 + 1, 0, -0.0, 5e-324, 1.7976931348623157e308, 1e16])
@pytest.mark.parametrize("wrap", [lambda one: one, lambda one: [one], lambda one: {"a": [None, one]}])
def test_numbers_keep_every_digit(value: float, wrap: Any):
    assert repr(values.decode(values.encode(wrap(value)))) == repr(wrap(value))


def nested(levels: int, make: Any = lambda inner: [inner]) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = make(value)
    return value


@pytest.mark.parametrize("make", [lambda inner: [inner], lambda inner: {"a": inner}, lambda inner: (inner, None)])
def test_nesting_ends_at_512_levels(make: Any):
    deepest = nested(512, make)
    back = json.loads(values.encode(deepest))
    assert repr(values.decode(values.encode(deepest))) == repr(back)
    with pytest.raises(ValidationError, match="nested too deep"):
        values.encode(nested(513, make))


def test_nesting_beyond_any_stack_is_an_error_too():
    with pytest.raises(ValidationError, match="nested too deep"):
        values.encode(nested(100_000))
    with pytest.raises(CorruptError):
        values.decode(b"[" * 100_000)


LONE = "\ud800"
REFUSED: list[tuple[Any, str]] = [
    (2**63, "/"),
    (-(2**63) - 1, "/"),
    ([2**64], "/0"),
    (math.nan, "/"),
    ({"a": [None, math.inf]}, "/a/1"),
    ({"a/b~": -math.inf}, "/a~1b~0"),
    (LONE, "/"),
    ({"a": LONE}, "/a"),
    ({LONE: 1}, "/"),
    (object(), "/"),
    ([1, {"f": print}], "/1/f"),
    ({None: 1}, "/"),
    ({True: 1}, "/"),
    ({1.5: 1}, "/"),
    ({b"a": 1}, "/"),
    ({1: "a", "1": "b"}, "/1"),
    ({(1, 2): 1}, "/"),
    (1j, "/"),
    (dataclasses.replace(ORDER, options={"size": 2**70}), "/options/size"),
    (dataclasses.replace(ORDER, parts={2**64: Decimal(1)}), "/parts"),
    (Point(1, math.nan), "/1"),
    ({"x": (one for one in [1])}, "/x"),
    (Model(count=2**70), "/count"),
]


@pytest.mark.parametrize(("value", "place"), REFUSED)
def test_what_json_cannot_hold_is_refused_with_its_place(value: Any, place: str):
    with pytest.raises(ValidationError) as caught:
        values.encode(value)
    assert caught.value.place == place
    assert LONE not in str(caught.value)


SECRET = "s3cr3t-value"
MISFITS: list[tuple[Any, Any, str]] = [
    ("5", int, "/"),
    (True, int, "/"),
    (1.0, int, "/"),
    (None, int, "/"),
    (1, str, "/"),
    (0, bool, "/"),
    (1, bytes, "/"),
    ("aGk=", bytes, "/"),
    ("aGk=", bytes | None, "/"),
    (b"5", int, "/"),
    (SECRET.encode(), str, "/"),
    ([1, 2, SECRET], list[int], "/2"),
    ({"a": {"b": SECRET}}, dict[str, dict[str, int]], "/…/…"),
    (SECRET, Colour, "/"),
    (SECRET, Literal["a"], "/"),
    (SECRET, datetime, "/"),
    (SECRET, UUID, "/"),
    (SECRET, Decimal, "/"),
    (1_700_000_000, datetime, "/"),
    ({"id": SECRET, "colour": "red", "points": []}, Order, "/id"),
    ({"id": str(uuid4()), "colour": SECRET, "points": []}, Order, "/colour"),
    ({"id": str(uuid4()), "colour": "red", "points": [[1, SECRET]]}, Order, "/points/0/1"),
    ({"id": str(uuid4()), "colour": "red"}, Order, "/"),
    ({"note": {"id": SECRET}, "place": 1}, Pinned, "/note/id"),
    ([{"note": {"id": SECRET}, "place": 1}], list[Pinned], "/0/note/id"),
    ({"count": SECRET}, Model, "/count"),
    ({"count": "5"}, Model, "/count"),
    ([{"count": True}], list[Model], "/0/count"),
    ([1, SECRET], Many, "/1"),
    (SECRET, Model, "/"),
]


@pytest.mark.parametrize(("value", "type_", "place"), MISFITS)
def test_what_does_not_fit_names_key_and_place_and_never_the_value(value: Any, type_: Any, place: str):
    with pytest.raises(ValidationError) as caught:
        values.decode(values.encode(value), type_, "the-key")
    assert (caught.value.place, caught.value.key) == (place, "the-key")
    told: BaseException | None = caught.value
    while told is not None:  # a traceback prints these as well
        assert SECRET not in f"{told!r}{told}"
        told = None if told.__suppress_context__ else told.__context__


class Plain:
    pass


@pytest.mark.parametrize("type_", ["int", 5, Plain, list[Plain], int | Plain, Order | Struct, dict[str, Plain], print])
def test_a_type_that_nothing_reads_is_refused_before_reading(type_: Any):
    with pytest.raises(ValidationError) as caught:
        values.check_type(type_)
    assert caught.value.place == "type"
    assert "Plain" in str(caught.value) or type_ is not Plain


class Unshown:
    def __repr__(self) -> str:
        raise RuntimeError("s3cret")


@pytest.mark.parametrize("type_", [Unshown(), 10**5_000, [Unshown()]], ids=["unshown", "long", "list"])
def test_what_is_no_type_and_has_no_text_is_refused_too(type_: Any):
    with pytest.raises(ValidationError) as raised:
        values.check_type(type_)
    assert raised.value.place == "type"
    assert "s3cret" not in str(raised.value)


@dataclasses.dataclass
class Unset:
    a: int
    b: int = dataclasses.field(init=False)


class Loose(pydantic.BaseModel):
    a: Any


class Raw(pydantic.BaseModel):
    a: bytes


class Slot(msgspec.Struct):
    a: Any


class Unreadable(typing.Sequence[int]):
    def __getitem__(self, index: Any) -> Any:
        raise LookupError("s3cret")

    def __len__(self) -> int:
        return 2


@pytest.mark.parametrize(
    "value",
    [Unset(1), Loose(a=object()), Raw(a=b"\xff"), Slot(object()), Slot, Unreadable()],
    ids=lambda one: type(one).__name__,
)
def test_an_object_that_does_not_give_its_parts_is_refused_with_its_place(value: Any):
    for given_, place in ((value, "/"), ({"a": [value]}, "/a/0")):
        with pytest.raises(ValidationError) as raised:
            values.encode(given_)
        assert raised.value.place == place
        assert "s3cret" not in str(raised.value)


def test_a_view_of_every_other_byte_is_bytes_too():
    view = memoryview(b"abcdef")[::2]
    assert values.decode(values.encode(view)) == b"ace"
    assert values.decode(values.encode([view]), list[bytes]) == [b"ace"]


def test_types_that_cannot_be_hashed_are_read_too():
    assert values.decode(b"5", typing.Annotated[int, []]) == 5


@pytest.mark.parametrize("data", [b"", b"x", b'{"a":', b"NaN", b'"\\ud800"', b'"\xff"', b"1 2", b"\x04", b"'5'"])
@pytest.mark.parametrize("type_", [None, int, Model, Note])
def test_what_is_no_json_is_corrupt_and_not_shown(data: bytes, type_: Any):
    with pytest.raises(CorruptError) as caught:
        values.decode(data, type_, "k")
    assert caught.value.key == "k"
    assert "another program" in str(caught.value)


def test_what_others_wrote_is_read_without_loss():
    assert values.decode(b' {"a" : 18446744073709551616 } \n') == {"a": 2**64}
    assert values.decode(b'{"a":1,"a":2}') == {"a": 2}  # the last name counts, as everywhere


SAME = [
    ({"a": 1, "b": [1, 2]}, {"b": [1, 2], "a": 1}),
    ({"b": {2, 1}}, {"b": [1, 2]}),
    (0.0, -0.0),
    (b"x", bytearray(b"x")),
    (Colour.RED, "red"),
    (Point(1, 2.0), [1, 2.0]),
    (None, None),
]
DIFFERENT = [
    (1, 1.0),
    (1, True),
    (0, False),
    ("1", 1),
    ([1], [1, 1]),
    ([1, 2], [2, 1]),
    ({"a": 1}, {"a": 1.0}),
    ({"a": 1}, {"a": 1, "b": None}),
    ({}, []),
    (b"1", 1),
    (b"", ""),
    (None, False),
    (2**63 - 1, 2**63 - 2),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_equal_as_json(one: Any, other: Any):
    assert values.same(values.encode(one), values.encode(other))


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_different_as_json(one: Any, other: Any):
    assert not values.same(values.encode(one), values.encode(other))


def test_sets_are_written_alike_in_every_process():
    script = "from tierstore.stores.state.values import encode; print(encode({'a', 'b', 'c', 1, 2, (1, 2)}))"
    written = {
        subprocess.run([sys.executable, "-c", script], env={"PYTHONHASHSEED": seed}, capture_output=True).stdout
        for seed in ("1", "2", "3")
    }
    assert len(written) == 1
    assert b"[" in written.pop()


def test_msgspec_and_pydantic_are_loaded_when_they_are_needed():
    script = (
        "import sys, tierstore; from tierstore.stores.state import values, envelope; assert 'msgspec' not in sys.modules;"
        "values.decode(values.encode(1), int); assert not {'pydantic', 'cryptography'} & {*sys.modules}"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
