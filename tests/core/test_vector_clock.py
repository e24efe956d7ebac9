"""Vector clocks: a mapping, merged and compared as a Python loop would, over bytes that are checked."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierstore import VectorClock, codec
from tierstore.errors import CorruptError, ValidationError

CLOCKS = st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), st.integers(0, 2**64 - 1), max_size=8)


def relation(one: dict[str, int], other: dict[str, int]) -> str:
    names = one.keys() | other.keys()
    less = any(one.get(name, 0) < other.get(name, 0) for name in names)
    more = any(one.get(name, 0) > other.get(name, 0) for name in names)
    return {(False, False): "equal", (True, False): "before", (False, True): "after", (True, True): "concurrent"}[
        less, more
    ]


@given(CLOCKS, CLOCKS)
def test_merge_and_compare_are_those_of_a_loop(one: dict[str, int], other: dict[str, int]):
    merged = VectorClock(one).merge(VectorClock(other))
    assert merged == {name: max(one.get(name, 0), other.get(name, 0)) for name in one.keys() | other.keys()}
    assert VectorClock(one).compare(VectorClock(other)) == VectorClock(one).compare(other) == relation(one, other)
    assert merged.compare(one) in {"after", "equal"}


@given(CLOCKS)
def test_bytes_are_a_bincode_map_in_order(counts: dict[str, int]):
    clock = VectorClock(counts)
    ordered = dict(sorted(counts.items(), key=lambda item: item[0].encode()))
    assert bytes(clock) == codec.bincode_encode(ordered, dict[str, codec.u64])
    assert VectorClock.from_bytes(bytes(clock)) == clock == counts
    assert hash(VectorClock.from_bytes(bytes(clock))) == hash(clock)
    assert pickle.loads(pickle.dumps(clock)) == clock == copy.copy(clock)


def test_it_is_a_mapping():
    clock = VectorClock({"b": 2, "a": 1})
    assert isinstance(clock, Mapping)
    assert (len(clock), list(clock), dict(clock), clock["a"], clock.get("z"), "b" in clock) == (
        2,
        ["a", "b"],
        {"a": 1, "b": 2},
        1,
        None,
        True,
    )
    assert repr(clock) == "VectorClock({'a': 1, 'b': 2})"
    assert VectorClock() == {}
    with pytest.raises(KeyError):
        _ = clock["z"]


@pytest.mark.parametrize("counts", [{"a": -1}, {"a": 2**64}, {1: 1}, {"a": "1"}, {"\ud800": 1}])
def test_wrong_counts_are_refused(counts: dict[str, int]):
    with pytest.raises(ValidationError):
        VectorClock(counts)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_clock_or_refused(rubbish: bytes):
    try:
        clock = VectorClock.from_bytes(rubbish)
    except CorruptError:
        return
    assert VectorClock(dict(clock)) == clock


@pytest.mark.parametrize(
    "entry", [b"\x01c\xfb\x05\x00", b"\x01c\xfd\x05\x00\x00\x00\x00\x00\x00\x00", b"\xfb\x01\x00c\x05"]
)
def test_a_number_in_more_bytes_than_it_needs_is_refused(entry):
    """Equal clocks have equal bytes."""
    assert VectorClock.from_bytes(b"\x01\x01c\x05") == VectorClock({"c": 5})
    with pytest.raises(CorruptError):
        VectorClock.from_bytes(b"\x01" + entry)
    with pytest.raises(CorruptError):
        VectorClock.from_bytes(b"\xfb\x01\x00\x01c\x05")
