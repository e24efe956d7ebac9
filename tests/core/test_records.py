"""The record class: declaration, values of every type, immutability, copies, and its life with the collector."""

from __future__ import annotations

import copy
import enum
import gc
import math
import pickle
import struct
import subprocess
import sys
import weakref
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core import codec_model as model
from tests.core.golden_records import Colour, Everything, Level, NoteOne, Point, everything
from tierstore import _native, codec
from tierstore.errors import CorruptError, ValidationError
from tierstore.records import Record, attach, field

TEXT = st.text(st.characters(codec="utf-8"))
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=10,
)
POINTS = st.builds(Point, st.integers(-(2**63), 2**63 - 1), st.floats())
ANY_RECORD = st.builds(
    Everything,
    text=TEXT,
    raw=st.binary(),
    view=st.binary().map(memoryview),
    number=st.integers(-(2**63), 2**63 - 1),
    tiny=st.integers(0, 255),
    huge=st.integers(0, 2**128 - 1),
    small=st.integers(-(2**15), 2**15 - 1),
    wide=st.integers(-(2**127), 2**127 - 1),
    real=st.floats(),
    short=st.floats(width=32),
    letter=st.characters(codec="utf-8"),
    flag=st.booleans(),
    maybe=st.none() | TEXT,
    when=st.datetimes(timezones=st.just(UTC)),
    day=st.dates(),
    span=st.timedeltas(),
    uuid=st.uuids(),
    price=st.decimals(),
    colour=st.sampled_from(Colour),
    level=st.sampled_from(Level),
    names=st.lists(TEXT),
    many=st.lists(st.integers(-(2**63), 2**63 - 1)).map(tuple),
    pair=st.tuples(st.integers(-(2**63), 2**63 - 1), TEXT),
    table=st.dictionaries(TEXT, st.integers(-(2**63), 2**63 - 1)),
    points=st.lists(POINTS),
    point=POINTS,
    lazy=st.lists(POINTS).map(tuple),
    files=st.dictionaries(TEXT, st.binary()),
    free=JSON_VALUES,
)


def comparable(value: Any) -> Any:
    """Floats by their bits, NaN included; lazy values as what they stand for."""
    if isinstance(value, float):
        return struct.pack("<d", value)
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Mapping):
        return {key: comparable(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes | memoryview):
        return [comparable(item) for item in value]
    return value


@given(ANY_RECORD)
def test_decoding_gives_back_every_value(record: Everything):
    received = Everything.from_bytes(codec.encode(record))
    assert received == record
    assert hash(received) == hash(record)
    for name in record.asdict():
        own, other = getattr(record, name), getattr(received, name)
        assert comparable(own) == comparable(other)
    assert codec.encode(record)[32:] == model.fields(record)


@given(ANY_RECORD, st.permutations(range(29)))
def test_fields_may_be_read_in_any_order(record: Everything, order: list[int]):
    received = Everything.from_bytes(codec.encode(record))
    names = list(record.asdict())
    for at in order:
        assert comparable(getattr(received, names[at])) == comparable(getattr(record, names[at]))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("number", 2**63),
        ("number", -(2**63) - 1),
        ("tiny", 256),
        ("tiny", -1),
        ("huge", 2**128),
        ("small", 2**15),
        ("wide", 2**127),
        ("number", True),
        ("number", "1"),
        ("text", "\ud800"),
        ("text", b"x"),
        ("raw", "x"),
        ("letter", "ab"),
        ("letter", ""),
        ("short", 1e300),
        ("real", "1"),
        ("flag", 1),
        ("when", datetime(2026, 1, 1)),  # noqa: DTZ001
        ("when", datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))),
        ("day", datetime(2026, 1, 1, tzinfo=UTC)),
        ("span", 5),
        ("uuid", "0190c9b0-0000-7000-8000-00000000002a"),
        ("price", 1.5),
        ("colour", "red"),
        ("names", "abc"),
        ("names", [1]),
        ("pair", (1,)),
        ("table", [("a", 1)]),
        ("point", None),
        ("free", {1: 2}),
        ("free", b"x"),
        ("free", math.nan),
        ("free", 2**64),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_its_field(name: str, value: object):
    with pytest.raises(ValidationError) as caught:
        codec.encode(everything().replace(**{name: value}))
    assert caught.value.place is not None
    assert caught.value.place.startswith(f"Everything.{name}")


def test_the_place_of_a_nested_fault_names_each_field():
    with pytest.raises(ValidationError, match="does not fit i64") as caught:
        codec.encode(everything().replace(points=[Point(2**63)]))
    assert caught.value.place == "Everything.points: Point.x"


def test_a_record_is_immutable_and_has_no_other_attributes():
    record = NoteOne("a", b"", 1)
    for name in ("id", "other"):
        with pytest.raises(AttributeError):
            setattr(record, name, 5)
    with pytest.raises(AttributeError):
        del record.id
    assert not hasattr(record, "__dict__")


def test_construction_takes_places_names_and_defaults():
    assert Point(1) == Point(x=1, y=1.5) == Point(y=1.5, x=1)
    for wrong in (lambda: Point(), lambda: Point(1, 2.0, 3), lambda: Point(1, x=2), lambda: Point(1, z=2)):
        with pytest.raises(TypeError):
            wrong()


def test_default_factories_make_a_value_each():
    class Bag(Record):
        items: list[int] = field(default_factory=list)

    assert Bag().items is not Bag().items


def test_replace_asdict_and_repr():
    record = NoteOne("a", b"x" * 500, 1)
    assert record.replace(id="b").asdict() == {"id": "b", "body": b"x" * 500, "old": 1}
    assert repr(record) == "NoteOne(id='a', body=<500 bytes>, old=1)"
    with pytest.raises(TypeError):
        record.replace(nothing=1)


def test_pattern_matching():
    match Point(1, 2.0):
        case Point(x, y):
            assert (x, y) == (1, 2.0)


def test_equality_is_that_of_class_and_bytes():
    class Other(Record):
        x: int
        y: float = 1.5

    assert Point(1, math.nan) == Point(1, math.nan)
    assert Point(1, 0.0) != Point(1, -0.0)
    assert Point(1) != Other(1)
    assert Point(1) != 1
    assert len({Point(1), Point(1), Point(2)}) == 2


@pytest.mark.parametrize("received", [False, True])
def test_copies_and_pickles(received: bool):
    record = everything()
    if received:
        record = Everything.from_bytes(codec.encode(record, key=b"k"), key=b"k")
    assert copy.copy(record) is record
    assert copy.deepcopy(record) == record
    assert copy.deepcopy(record).names is not record.names
    assert pickle.loads(pickle.dumps(record)) == record
    assert pickle.loads(pickle.dumps(Point(1))) == Point(1)


def test_another_process_reads_a_pickle():
    program = "import pickle, sys; print(hash(pickle.load(sys.stdin.buffer)))"
    for record in (everything(), Everything.from_bytes(bytes(everything()))):
        done = subprocess.run(
            [sys.executable, "-c", program], input=pickle.dumps(record), capture_output=True, timeout=60, check=True
        )
        assert int(done.stdout) == hash(record)


def test_weak_references():
    record = Point(1)
    reference = weakref.ref(record)
    assert reference() is record
    del record
    assert reference() is None


def test_cycles_through_a_record_are_collected():
    class Bag(Record):
        items: list[codec.JSON] = field(default_factory=list)

    class Mark:
        pass

    gc.collect()
    bag, mark = Bag(), Mark()
    bag.items.extend([bag, mark])
    reference = weakref.ref(mark)
    del bag, mark
    gc.collect()
    assert reference() is None


def test_a_record_of_plain_values_is_no_burden_to_the_collector():
    record = Point.from_bytes(bytes(Point(1)))
    assert (record.x, record.y) == (1, 1.5)
    assert not gc.is_tracked(record)


def test_meta_is_attached_and_no_part_of_the_value():
    record = Point(1)
    assert record.meta is None
    attach(record, {"tier": "l1"})
    attach(record, {"tier": "l2"})
    assert record.meta == {"tier": "l2"}
    assert record == Point(1)
    assert codec.encode(NoteOne("a", b"", 1)) == codec.encode(NoteOne("a", b"", 1))


def test_a_field_is_built_once():
    received = Everything.from_bytes(codec.encode(everything()))
    assert received.names is received.names
    assert received.point is received.point


def test_lazy_sequences_and_mappings():
    received = Everything.from_bytes(codec.encode(everything()))
    assert isinstance(received.lazy, Sequence)
    assert isinstance(received.files, Mapping)
    assert (len(received.lazy), received.lazy[-1], received.lazy[0:1]) == (2, Point(5), (Point(4),))
    assert list(received.lazy) == [Point(4), Point(5)]
    assert Point(4) in received.lazy
    for index in (2, -3, 2**70):
        with pytest.raises(IndexError):
            _ = received.lazy[index]
    assert (list(reversed(received.lazy)), received.lazy[::-1]) == ([Point(5), Point(4)], (Point(5), Point(4)))
    assert received.lazy == everything().lazy
    assert everything().files == received.files
    assert received.files["b.txt"] == b"B" * 300
    assert received.files.get("c.txt") is None
    assert "a.txt" in received.files
    assert 5 not in received.files
    assert dict(received.files) == everything().files
    assert pickle.loads(pickle.dumps(received.files)) == everything().files
    with pytest.raises(KeyError):
        _ = received.files["c.txt"]


def test_a_member_that_no_class_here_knows_is_corrupt():
    class More(enum.Enum):
        NEW = "new"

    class Writer(Record, kind=60020):
        colour: More

    class Reader(Record, kind=60020, replaces=Writer):
        colour: Colour

    record = Reader.from_bytes(codec.encode(Writer(More.NEW)))
    with pytest.raises(CorruptError):
        _ = record.colour


def test_declarations_that_cannot_work_are_refused():
    with pytest.raises(TypeError):
        type("Wrong", (Record,), {"__annotations__": {"a": "complex"}})
    with pytest.raises(TypeError):
        type("Wrong", (Record,), {"__annotations__": {"a": "list[None]"}})
    with pytest.raises(TypeError):
        type("Wrong", (Record,), {"__annotations__": {"a": "int"}, "a": field(revision=2)})
    with pytest.raises(TypeError):

        class Late(Record, revision=2, oldest_reader=1):
            a: int
            b: int = field(revision=2)


def test_fields_of_another_class_are_refused():
    with pytest.raises(TypeError):
        NoteOne.id.__get__(Point(1))


def test_datetimes_keep_their_moment_and_come_back_in_utc():
    class At(Record):
        when: datetime

    zone = timezone(timedelta(hours=5, minutes=30))
    received = At.from_bytes(bytes(At(datetime(2026, 1, 1, 3, 0, tzinfo=zone))))
    assert received.when == datetime(2025, 12, 31, 21, 30, tzinfo=UTC)
    assert received.when.tzinfo is UTC


def test_bases_give_their_fields_and_methods():
    class Named(Record):
        name: str

        def greet(self) -> str:
            return f"I am {self.name}"

    class Person(Named, kind=60021):
        born: date

    assert Person("Ann", date(2000, 1, 1)).greet() == "I am Ann"
    assert codec.decode(codec.encode(Person("Ann", date(2000, 1, 1)))) == Person("Ann", date(2000, 1, 1))


def test_twins_share_their_content_and_not_their_meta():
    one = Point(x=1, y=2.0)
    attach(one, "kept")
    other = _native.twin(one, "given")
    assert (one.meta, other.meta) == ("kept", "given")
    assert one == other
    assert type(other) is Point
    received = NoteOne.from_bytes(codec.encode(NoteOne(id="a", body=b"b", old=1), key=b"k"), key=b"k")
    attach(received, "kept")
    again = _native.twin(received, "given")
    assert (again.id, again.meta, received.meta) == ("a", "given", "kept")
    assert bytes(again) is bytes(received)


def test_a_batch_is_decoded_to_twins_and_what_is_not_right_to_none():
    good = codec.encode(NoteOne(id="a", body=b"b", old=1), key=b"good")
    buffers = [good, None, good, good[:-1], b"", codec.encode(everything(), key=b"other kind")]
    keys = ["good", "missing", "wrong key", "good", "good", "other kind"]
    found = _native.decode_twins(buffers, keys, NoteOne, "kept", "given")
    assert [pair is None for pair in found] == [False, True, True, True, True, True]
    one, other = found[0]
    assert (one.id, one.meta, other.id, other.meta) == ("a", "kept", "a", "given")
    assert bytes(one) is bytes(other) is good
    with pytest.raises(TypeError):
        _native.decode_twins([good], ["good"], int, "kept", "given")
