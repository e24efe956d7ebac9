"""Bytes are gathered in memory that the thread keeps, items are written where they lie: neither shows, whatever runs meanwhile."""

from __future__ import annotations

import pickle
import sys
import threading
from datetime import UTC, datetime, timedelta, tzinfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierstore import codec
from tierstore.errors import ValidationError
from tierstore.records import Record

LONG = 512
"""From here on a part is not gathered, but copied from where it lies."""

edges = [
    sign * (2**power + step)
    for power in (0, 7, 8, 15, 16, 29, 30, 31, 32, 59, 60, 61, 62)
    for step in (-1, 0, 1)
    for sign in (1, -1)
]
long_parts = st.sampled_from(
    ["x" * LONG, "x" * (LONG - 1), "é" * LONG, "漢" * (LONG // 3 + 1), b"y" * LONG, b"z" * (LONG + 1)]
)
leaves = st.one_of(
    st.none(), st.booleans(), st.sampled_from([*edges, 2**63 - 1, -(2**63), 2**64 - 1]), st.integers(-(2**63), 2**64 - 1), st.floats(),
    st.text(max_size=40), st.binary(max_size=40), long_parts,
)  # fmt: skip
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=6),
        st.lists(inner, max_size=6).map(tuple),
        st.dictionaries(st.text(max_size=20), inner, max_size=6),
    ),
    max_leaves=30,
)


@given(trees)
def test_every_tree_is_written_as_msgspec_writes_it(tree):
    assert codec.msgpack_encode(tree) == msgspec.msgpack.encode(tree)


class Zone(tzinfo):
    """Runs what it is given when its offset is asked for, which encoding a datetime does."""

    def __init__(self, run):
        self.run = run

    def utcoffset(self, moment):
        self.run()
        return timedelta(0)


def moment(run):
    return datetime(2026, 1, 2, tzinfo=Zone(run))


class Held(Record, kind=60150):
    items: list[datetime]
    by_name: dict[str, datetime]
    tail: str


WITHIN = ["inner", "i" * LONG, 7]
HELD_WITHIN = Held([datetime(2026, 1, 1, tzinfo=UTC)], {}, "t")


def held_of(collection):
    return Held(collection, {}, "t") if isinstance(collection, list) else Held([], collection, "t")


def test_who_encodes_while_something_is_encoded_gets_bytes_of_his_own():
    inner = []

    def encode():
        inner.append(codec.msgpack_encode(WITHIN))
        inner.append(codec.encode(HELD_WITHIN))

    outer = ["before", b"b" * LONG, moment(encode), "after", {"é" * LONG: 1}]
    plain = [*outer[:2], datetime(2026, 1, 2, tzinfo=UTC), *outer[3:]]
    given, expected = [moment(encode)], [plain[2]]
    for _ in range(3):
        assert codec.msgpack_encode(outer) == codec.msgpack_encode(plain)
        held = Held(given, {"a": given[0]}, "z")
        assert codec.encode(held) == codec.encode(Held(expected, {"a": expected[0]}, "z"))
    assert set(inner) == {codec.msgpack_encode(WITHIN), codec.encode(HELD_WITHIN)}


def filled(collection, item):
    """With an item between others that nobody else refers to."""
    if isinstance(collection, list):
        collection[:] = [item, *(datetime(2026, 1, 1 + day, tzinfo=UTC) for day in range(3))]
    else:
        collection.clear()
        collection.update({"at": item}, **{f"n{day}": datetime(2026, 1, 1 + day, tzinfo=UTC) for day in range(3)})
    return collection


def grow(collection):
    late = datetime(2026, 2, 1, tzinfo=UTC)
    collection.append(late) if isinstance(collection, list) else collection.update({f"late{len(collection)}": late})


@pytest.mark.parametrize("change", [lambda collection: collection.clear(), grow], ids=["clear", "grow"])
@pytest.mark.parametrize(
    "encode", [codec.msgpack_encode, lambda value: codec.encode(held_of(value))], ids=["msgpack", "record"]
)
@pytest.mark.parametrize("kind", [list, dict])
def test_a_list_or_dict_that_changes_meanwhile_is_refused(kind, encode, change):
    collection = kind()
    for _ in range(50):
        filled(collection, moment(lambda: change(collection)))
        with pytest.raises(ValidationError):
            encode(collection)


def test_references_are_as_many_as_before():
    class Word(str):
        __slots__ = ()

    parts = ["p" * 50, "q" * LONG, b"r" * LONG, 10**15, 1.5, Word("sub"), ["in"], {"k": "v"}, ("t",)]
    counts = [sys.getrefcount(part) for part in parts]
    for _ in range(100):
        codec.msgpack_encode(parts)
        codec.msgpack_encode({str(at): part for at, part in enumerate(parts)})
        with pytest.raises(ValidationError):
            codec.msgpack_encode([*parts, object()])
    assert [sys.getrefcount(part) for part in parts] == counts


def test_threads_gather_apart():
    wrong = []

    def encode(number):
        value = [number, str(number) * 3000, {"n": number, "b": bytes([number]) * LONG}]
        expected = msgspec.msgpack.encode(value)
        wrong.extend(number for _ in range(200) if codec.msgpack_encode(value) != expected)

    threads = [threading.Thread(target=encode, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_large_result_leaves_no_large_memory_behind():
    """What a thread keeps is bounded: the next small result is right, and the large one's bytes are gone."""
    large = codec.msgpack_encode(list(range(200_000)))
    assert codec.msgpack_decode(large) == list(range(200_000))
    assert codec.msgpack_encode([1]) == b"\x91\x01"


class Noted(Record, kind=60151):
    note: codec.JSON


@pytest.mark.parametrize("length", [LONG - 1, LONG, 5_000, 100_000])
def test_long_texts_of_a_json_field_are_part_of_the_record(length):
    for note in ("x" * length, ["é" * length], {"k" * length: ["y" * length]}):
        record = Noted(note)
        back = codec.decode(codec.encode(record))
        assert back.note == note
        assert back == record
        assert hash(back) == hash(record)
        assert pickle.loads(pickle.dumps(record)) == record
    assert Noted({"k": "x" * length}) != Noted({"k": "z" * length})
    assert hash(Noted("x" * length)) != hash(Noted("z" * length))
