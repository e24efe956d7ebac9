"""`Cache` as a MutableMapping: CPython's own tests of mappings, and what a dict does with keys that are equal."""

from __future__ import annotations

from collections.abc import MutableMapping

import pytest
from test import mapping_tests

from tierstore.cache import Cache


class TestMapping(mapping_tests.TestHashMappingProtocol):
    """The tests that CPython runs on its own mappings; but for what a cache is not: made of pairs, copied, shown whole, fixed while
    somebody walks over it."""

    type2test = Cache
    test_popitem = mapping_tests.BasicTestMappingProtocol.test_popitem  # the other one copies
    test_constructor = test_copy = test_fromkeys = test_mutatingiteration = test_repr = test_repr_deep = None

    def _reference(self):
        return {"1": "2", "key1": "value1", "key2": (1, 2, 3)}

    def _empty_mapping(self):
        return Cache()

    def _full_mapping(self, data):
        cache = Cache()
        cache.update(data)
        return cache


def test_it_is_a_mutable_mapping():
    cache = Cache(10)
    cache.update({"a": 1}, b=2)
    assert isinstance(cache, MutableMapping)
    assert cache == {"a": 1, "b": 2}
    assert cache != {"a": 1}
    assert (list(cache.keys()), list(cache.values()), list(cache.items())) == (["a", "b"], [1, 2], [("a", 1), ("b", 2)])
    assert cache.setdefault("a", 5) == 1
    assert cache.setdefault("c", 5) == 5
    assert cache.keys() & {"a", "z"} == {"a"}
    with pytest.raises(TypeError):
        hash(cache)


def test_reading_it_whole_counts_no_look_ups():
    cache = Cache(10)
    cache["a"] = 1
    list(cache), list(cache.values()), list(cache.items())
    assert (cache.stats().hits, cache.stats().misses) == (0, 0)


def test_walking_while_it_changes_meets_what_stays_once():
    cache = Cache(1000)
    for number in range(500):
        cache[number] = number
    met = []
    for key in cache:
        met.append(key)
        if isinstance(key, int) and key % 2 == 0:
            cache.pop(key + 1, None)
            cache[f"new {key}"] = 0
    numbers = [key for key in met if isinstance(key, int)]
    assert numbers == sorted(set(numbers))
    assert set(range(0, 500, 2)) <= set(numbers)


class Text(str):
    __slots__ = ()


class Odd(str):
    """A str that says it equals everything of its hash, and counts how often it is asked."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other):
        return True


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a", Text("a")),
        (Text("a"), "a"),
        (1, 1.0),
        (1.0, True),
        (True, 1),
        (0, False),
        (2**70, float(2**70)),
        ((1, "a"), (1.0, Text("a"))),
        (("a", ("b", 1)), ("a", ("b", True))),
        (b"a", bytes(bytearray(b"a"))),
        ("é" * 20, "".join(["é"] * 20)),
        ("\U0001f600", "".join(["\U0001f600"])),
        (frozenset("a"), frozenset("a")),
        (None, None),
    ],
)
def test_equal_keys_are_one_key_as_in_a_dict(one, other):
    cache, model = Cache(10), {}
    for mapping in (cache, model):
        mapping[one] = "first"
        mapping[other] = "second"
    assert len(cache) == len(model) == 1
    assert cache[one] == cache.get(other) == model[one] == "second"
    assert type(next(iter(cache))) is type(next(iter(model))), "the first spelling is kept"


def test_keys_that_differ_are_apart_even_where_their_hashes_collide():
    cache, model = Cache(1000), {}
    keys = [-1, -2, "a", b"a", ("a",), 0, "", (), None, 2**61 - 1, 0.0, 1, (2**61), float("inf"), 314159]
    for mapping in (cache, model):
        for number, key in enumerate(keys):
            mapping[key] = number
    assert dict(cache.items()) == model


def test_the_same_object_is_found_even_if_it_does_not_equal_itself():
    nan = float("nan")
    cache = Cache(10)
    cache[nan] = 1
    assert cache[nan] == 1
    assert cache.get(float("nan")) is None


def test_a_str_that_compares_by_itself_is_asked():
    cache = Cache(10)
    cache["a"] = 1
    assert cache.get(Odd("a")) == 1
