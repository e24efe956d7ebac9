"""Native functions take as many items as come: what an object says of its length is not believed. And nobody sees half a list."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAD = """
import collections.abc, gc, resource, sys
import tierstore
from tierstore import _native as n
resource.setrlimit(resource.RLIMIT_AS, (2**32, 2**32))

class Claims(collections.abc.Sequence):
    def __init__(self, *lengths): self.lengths = list(lengths)
    def __len__(self): return self.lengths.pop() if len(self.lengths) > 1 else self.lengths[0]
    def __getitem__(self, at): raise IndexError
    def __length_hint__(self): return self.lengths[0]

class Hints:
    def __init__(self, length): self.length = length
    def __iter__(self): return self
    def __next__(self): raise StopIteration
    def __length_hint__(self): return self.length

class Mapped(collections.abc.Mapping):
    def __len__(self): return 2**62
    def __iter__(self): return iter(())
    def __getitem__(self, key): raise KeyError(key)

class Node(tierstore.Record, kind=60090):
    items: list[int]

class Pairs(tierstore.Record, kind=60091):
    items: dict[str, int]

cache = tierstore.Cache(10)
"""
GIVEN = (
    "range(2**40)",
    "range(2**62)",
    "Claims(2**62)",
    "Claims(2**40)",
    "Claims(-1)",
    "Claims(3, 2**62, 0)",
    "Hints(2**62)",
    "Hints(-5)",
    "Mapped()",
)
CALLS = (
    'n.rank_many("a", {0})',
    'n.score_many("a", {0})',
    "n.SearchIndex().add({0})",
    "n.SearchIndex().try_add({0})",
    "n.Layout(1, 1, 1, {0}, [])",
    "n.Layout(1, 1, 1, [], {0})",
    "n.VectorClock({0})",
    "n.VectorClock().merge({0})",
    "n.VectorClock.from_bytes({0})",
    "n.parse_imports({0})",
    "n.parse_many({0})",
    "n.digest({0})",
    "n.slotted('a', 'b', {0})",
    "n.msgpack_encode({0})",
    "n.encode(Node(items={0}))",
    "n.encode(Pairs(items={0}))",
    'n.BincodeType(("list", ("str",))).encode({0})',
    'n.BincodeType(("dict", ("str",), ("str",))).encode({0})',
)
ENDLESS = ("cache.get_many({0})", "cache.put_many({0})", "cache.put(1, 1, tags={0})")
"""Those that may go through a number of items that is truly there."""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", HEAD + code], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("call", [*CALLS, *ENDLESS])
def test_a_claimed_length_is_not_believed(call):
    given = [each for each in GIVEN if call in CALLS or not each.startswith("range")]
    tries = "".join(
        f"\ntry: {call.format(each)}\nexcept Exception as error: assert type(error) is not RuntimeError, error"
        for each in given
    )
    done = run(tries)
    assert done.returncode == 0, done.stderr[-500:]


SEES = """
def look(*_):
    for each in gc.get_objects():
        if type(each) in (list, tuple): list(each)

class Key:
    def __init__(self, value): self.value = value
    def __hash__(self):
        if self.value in (5, 700): look()
        return hash(self.value) % 10
    def __eq__(self, other): return type(other) is Key and self.value == other.value

"""
BUILDS = {
    "get_many": (
        "filled = tierstore.Cache(2000); filled.put_many((Key(n), n) for n in range(6));"
        "filled.get_many([Key(n) for n in range(1237)])"
    ),
    "get_many of a tuple": "keys = [Key(n) for n in range(1237)]; tierstore.Cache(10).get_many(tuple(keys))",
    "ranks": "n.rank_many('a', [('abc', 'def', 'a b')] * 1237)",
    "scores": "n.score_many('a', [('abc', 'def', 'a b')] * 1237)",
    "msgpack": "n.msgpack_decode(n.msgpack_encode([[k] for k in range(1237)]))",
    "a list of a record": "n.decode(n.encode(Nested(items=[[k] for k in range(1237)]))).items",
    "keys of a mapping": "list(n.decode(n.encode(Lazy(items={str(k): [k] for k in range(1237)}))).items)",
}


@pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS.keys())
def test_nobody_sees_a_list_that_is_half_filled(build):
    """Each allocation may set the collector going, and its callbacks walk what it knows, as memory profilers do."""
    nested = "class Nested(tierstore.Record, kind=60092):\n    items: list[list[int]]\n"
    lazy = "class Lazy(tierstore.Record, kind=60093):\n    items: Mapping[str, list[int]]\n"
    code = f"from collections.abc import Mapping\n{SEES}{nested}{lazy}gc.collect()\ngc.callbacks.append(look)\ngc.set_threshold(300)\n"
    done = run(f"{code}{build}\nprint('whole')")
    assert (done.returncode, done.stdout) == (0, "whole\n"), done.stderr[-500:]
