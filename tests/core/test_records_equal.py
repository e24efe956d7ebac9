"""What a record is equal to, and what its keys and texts are, whatever became of what was read from it."""

from __future__ import annotations

import copy
import decimal
import enum
import pickle
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from unittest.mock import ANY

import pytest

from tierstore import codec
from tierstore.errors import CorruptError, ValidationError
from tierstore.records import Record


def received(record):
    return codec.decode(codec.encode(record))


class State(enum.Enum):
    ELSEWHERE = "elsewhere"


def test_a_class_in_the_body_is_meant_before_one_outside():
    class Page(Record, kind=60180):
        class State(enum.Enum):
            HERE = "here"

        state: State

    assert received(Page(Page.State.HERE)).state is Page.State.HERE


class Node(Record, kind=60181):
    number: int
    child: Node | None


def test_records_received_many_deep_are_equal_and_hashable():
    one = other = Node(0, None)
    for number in range(40):
        one, other = received(Node(number, one)), received(Node(number, other))
    assert one == other
    assert hash(one) == hash(other)
    assert one != received(Node(7, one))


class Holder(Record, kind=60182):
    lists: dict[str, list[int]]
    inner: Node | None


class Alone(Record, kind=60183):
    lists: dict[str, list[int]]


@pytest.mark.parametrize("made", [Holder({"a": [1]}, None), Holder({"a": [1]}, Node(1, None)), Alone({"a": [1]})])
def test_what_is_done_to_a_list_that_was_read_is_no_part_of_a_received_record(made):
    record = received(made)
    known = {record}
    for change in ([2], "no list"):
        record.lists["b"] = change
        assert record in known
        assert record == made
        assert hash(record) == hash(made)
        assert codec.encode(record) == codec.encode(made)


def test_keys_differ_as_they_will_be_read():
    with pytest.raises(ValidationError, match="two keys"):
        codec.bincode_encode({1e-50: 1, -1e-50: 2}, dict[codec.f32, int])
    kind = dict[tuple[codec.f32, int], int]
    assert codec.bincode_decode(codec.bincode_encode({(0.5, 2): 1}, kind), kind) == {(0.5, 2): 1}
    with pytest.raises(CorruptError):
        codec.bincode_decode(b"\x01\x04sNaN\x02", dict[Decimal, int])


def test_a_subclass_of_dict_keeps_its_own_order():
    ordered = OrderedDict(a=1, b=2, c=3)
    ordered.move_to_end("a")
    assert list(codec.msgpack_decode(codec.msgpack_encode(ordered))) == ["b", "c", "a"]
    kind = dict[str, int]
    assert list(codec.bincode_decode(codec.bincode_encode(ordered, kind), kind)) == ["b", "c", "a"]


class Priced(Record, kind=60184):
    price: Decimal


@pytest.mark.parametrize(
    "text", ["1E+5", "1E-7", "-0", "0.00", "12.345", "Infinity", "-Infinity", "NaN", "NaN12", "sNaN", "0E+999999"]
)
def test_a_decimal_is_what_it_is_in_every_context(text):
    record = Priced(Decimal(text))
    with decimal.localcontext() as context:
        context.capitals = 0
        context.prec = 2
        context.traps[decimal.InvalidOperation] = False
        assert codec.encode(Priced(Decimal(text))) == codec.encode(record)
        assert str(received(record).price).upper() == text.upper()


@pytest.mark.parametrize(
    "text",
    [b"xyz", b" 1_0 ", b"", b"-", b"1.", b".5", b"1E5", b"1E+", b"+1", b"1_0", b"Inf", b"nan", b"1e+5", b"1.5.5"],
)
def test_what_no_decimal_writes_is_refused(text):
    for trapped in (True, False):
        with decimal.localcontext() as context, pytest.raises(CorruptError):
            context.traps[decimal.InvalidOperation] = trapped
            codec.bincode_decode(bytes([len(text)]) + text, Decimal)


class Lazy(Record, kind=60185):
    items: Sequence[str]
    names: Mapping[str, int]


def test_lazy_ones_ask_the_other_side_where_they_do_not_know():
    class Odd:
        keys = 3

    lazy = received(Lazy(["a"], {"x": 1}))
    assert lazy.items == ANY
    assert lazy.names == ANY
    assert lazy.names != Odd()
    assert lazy.names == OrderedDict(x=1)
    assert lazy.names == received(lazy).names
    assert lazy.names != ["x"]


def test_what_stands_for_foreign_values_is_copied_and_pickled():
    for value in (codec.Ext(5, b"data"), codec.Timestamp(7, 9)):
        assert copy.deepcopy([value]) == [value]
        assert pickle.loads(pickle.dumps(value)) == value


def test_declarations_that_could_not_be_read_are_refused():
    @dataclass
    class Counted:
        name: str
        length: int = field(init=False, default=0)

    with pytest.raises(TypeError, match="length"):
        codec.bincode_encode(Counted("a"), Counted)
    with pytest.raises(TypeError):
        codec.Some[int, str]
