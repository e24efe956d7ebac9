"""The in-process cache by itself: what it keeps, for how long, what leaves, and what on_evict is called with."""

from __future__ import annotations

import gc
import subprocess
import sys
import time
import weakref
from datetime import timedelta

import pytest

import tierstore
from tierstore.cache import SWEEP_INTERVAL_S, Cache
from tierstore.errors import ValidationError

POLICIES = ("default", "lru")


@pytest.fixture(params=POLICIES)
def policy(request) -> str:
    return request.param


def test_what_was_put_is_found_until_it_leaves():
    cache = Cache(100)
    cache.put("a", 1)
    cache["b"] = 2
    assert (cache.get("a"), cache["b"], cache.get("c"), cache.get("c", 3)) == (1, 2, None, 3)
    assert cache.pop("a") == 1
    assert cache.pop("a", None) is None
    with pytest.raises(KeyError):
        cache.pop("a")
    with pytest.raises(KeyError) as missing:
        cache["a"]
    assert missing.value.args == ("a",)
    assert cache.invalidate("b") is True
    assert cache.invalidate("b") is False


def test_a_tuple_key_that_is_missing_is_named_whole():
    with pytest.raises(KeyError) as missing:
        Cache(1)[("a", 1)]
    assert missing.value.args == (("a", 1),)


def test_many_at_once():
    cache = Cache(100)
    cache.put_many({"a": 1, "b": 2})
    cache.put_many([("c", 3), ("d", 4)])
    assert cache.get_many(["d", "x", "a"]) == [4, None, 1]
    assert cache.get_many(key for key in "bc") == [2, 3]
    assert cache.invalidate_many(["a", "x", "b"]) == 2
    assert sorted(cache) == ["c", "d"]
    cache.clear()
    assert len(cache) == 0


def test_get_many_of_a_list_that_its_keys_change():
    class Emptying:
        def __hash__(self):
            keys.clear()
            return 1

    keys = [Emptying(), "a", "b"]
    assert Cache(10).get_many(keys) == [None, None, None]


@pytest.mark.requirement("S1-26", "S0-19")
def test_never_more_entries_than_allowed(policy):
    cache = Cache(100, policy=policy)
    for number in range(1000):
        cache[number] = number
        assert cache[number] == number, "what was just put is found"
        assert len(cache) <= 100
    assert cache.stats().evictions == 900


@pytest.mark.requirement("S0-19")
def test_lru_evicts_what_was_used_longest_ago():
    cache = Cache(3, policy="lru")
    for key in "abc":
        cache[key] = key
    cache.get("a")
    cache["d"] = "d"
    assert sorted(cache) == ["a", "c", "d"]


@pytest.mark.requirement("S1-38")
def test_what_is_read_often_stays_when_much_is_read_once():
    cache = Cache(100)
    hot = [f"hot {number}" for number in range(80)]
    for _ in range(3):
        for key in hot:
            cache.get_or_load(key, lambda: "x")
    for number in range(5000):
        cache[f"once {number}"] = "x"
    assert sum(key in cache for key in hot) >= 75


@pytest.mark.requirement("S1-26")
def test_an_entry_is_gone_when_its_time_to_live_is_over():
    cache = Cache(10, ttl=0.05)
    cache["a"] = 1
    cache.put("b", 2, ttl=timedelta(seconds=60))
    cache.put("c", 3, ttl=float("inf"))
    time.sleep(0.08)
    assert "a" not in cache
    assert cache.get("a") is None
    assert dict(cache.items()) == {"b": 2, "c": 3}
    assert len(cache) == 2
    assert cache.stats().expirations == 1


@pytest.mark.requirement("S1-26")
def test_an_entry_is_gone_when_it_was_not_used_for_its_idle_time():
    cache = used_in_time(0.3)
    while cache is None:
        cache = used_in_time(0.3)
    assert cache.get("unused") is None
    time.sleep(0.4)
    assert cache.get("used") is None


def used_in_time(idle_s):
    """A cache one of whose entries was used all the time; None if this thread was kept from doing so."""
    cache = Cache(10, tti=idle_s)
    used_at = time.monotonic()
    cache["used"], cache["unused"] = 1, 2
    for _ in range(4):
        time.sleep(idle_s / 3)
        before, found = time.monotonic(), cache.get("used")
        if time.monotonic() - used_at > idle_s * 0.9:
            return None
        assert found == 1
        used_at = before
    return cache


def test_a_put_gives_an_entry_a_new_time():
    cache = Cache(10)
    cache.put("a", 1, ttl=0.03)
    cache.put("a", 2)
    cache.put("b", 1)
    cache.put("b", 2, ttl=0.03)
    time.sleep(0.06)
    assert (cache.get("a"), cache.get("b")) == (2, None)


@pytest.mark.requirement("S1-26", "S3-07")
def test_what_has_expired_is_freed_in_the_background():
    class Value:
        pass

    cache = Cache(10, ttl=0.01)
    value = Value()
    gone = weakref.ref(value)
    cache["a"] = value
    del value
    deadline = time.monotonic() + 10 * SWEEP_INTERVAL_S
    while gone() is not None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert gone() is None


def test_expired_entries_make_room_before_others():
    cache = Cache(3)
    cache["keep 1"], cache["keep 2"] = 1, 2
    cache.put("short", 0, ttl=0.01)
    time.sleep(0.03)
    cache["new"] = 3
    assert sorted(cache) == ["keep 1", "keep 2", "new"]
    assert cache.stats().evictions == 0


def test_weights_bound_the_cache(policy):
    cache = Cache(1000, max_weight=100, weigher=lambda key, value: len(value), policy=policy)
    for number in range(200):
        cache[number] = "x" * (number % 17)
        assert cache.stats().weight <= 100
    cache.put("given", "x", weight=90)
    assert cache["given"] == "x"
    assert cache.stats().weight <= 100


def test_a_value_heavier_than_the_cache_is_not_kept_and_nor_is_the_one_it_replaces():
    left = []
    cache = Cache(
        10, max_weight=10, weigher=lambda key, value: value, on_evict=lambda *left_with: left.append(left_with)
    )
    cache["a"] = 5
    cache["a"] = 11
    assert "a" not in cache
    assert left == [("a", 5, "replaced"), ("a", 11, "evicted")]


def test_tags_name_what_goes_together():
    cache = Cache(1000)
    for number in range(300):
        cache.put(number, number, tags=["all", f"rest {number % 3}"])
    assert cache.invalidate_tag("rest 0") == 100
    assert cache.invalidate_tag("rest 0") == 0
    assert len(cache) == 200
    cache.put(1, "untagged")
    assert cache.invalidate_tag("all") == 199
    assert dict(cache.items()) == {1: "untagged"}


def test_a_tag_costs_what_it_holds():
    cache = Cache(200_000)
    for number in range(100_000):
        cache.put(number, None, tags=("many",))
    taken = []
    for _ in range(10):
        cache.put("one", None, tags=("few",))
        start = time.perf_counter()
        cache.invalidate_tag("few")
        taken.append(time.perf_counter() - start)
    assert min(taken) < 0.005


def test_the_listener_hears_of_all_that_leaves_and_why():
    evicted = []
    cache = Cache(2, on_evict=lambda *what: evicted.append(what), policy="lru")
    cache["a"], cache["b"] = 1, 2
    cache["c"] = 3
    cache["c"] = 4
    cache.invalidate("b")
    cache.put("d", 5, ttl=0.01)
    time.sleep(0.03)
    cache.sweep()
    cache.clear()
    assert evicted == [
        ("a", 1, "evicted"),
        ("c", 3, "replaced"),
        ("b", 2, "invalidated"),
        ("d", 5, "expired"),
        ("c", 4, "cleared"),
    ]


def test_a_listener_may_use_the_cache_and_may_fail(monkeypatch):
    failures = []
    monkeypatch.setattr(sys, "unraisablehook", failures.append)

    def listener(key, value, reason):
        cache.get(key)
        cache.pop("nothing", None)
        raise RuntimeError("no")

    cache = Cache(2, on_evict=listener)
    for number in range(5):
        cache[number] = number
    assert len(cache) == 2
    assert [str(failure.exc_value) for failure in failures] == ["no"] * 3


@pytest.mark.requirement("S1-26")
def test_statistics_count_what_happened():
    cache = Cache(2)
    cache.get("a")
    cache["a"] = 1
    cache.get("a")
    cache["a"]
    cache.get_or_load("b", lambda: 2)
    with pytest.raises(ZeroDivisionError):
        cache.get_or_load("c", lambda: 1 // 0)
    assert "a" in cache
    stats = cache.stats()
    assert (stats.hits, stats.misses, stats.loads, stats.load_failures) == (2, 3, 2, 1)
    assert (stats.entries, stats.weight, stats.evictions) == (2, 2, 0)
    assert stats.hit_ratio == pytest.approx(0.4)
    assert "hits=2" in repr(stats)
    assert Cache().stats().hit_ratio == 0.0
    assert Cache().max_entries == 10_000


class Own(Cache):
    pass


def test_its_text_says_which_class_it_is():
    assert repr(Cache(3)) == "<tierstore.Cache of 0 entries, at most 3, weight 0>"
    assert repr(Own(3)).startswith(f"<{__name__}.Own of 0 entries")


def cycle_of_everything() -> weakref.ref:
    """A key that only cycles through a cache, its callables, a ticket and an iterator keep alive."""

    class Key:
        pass

    key = Key()
    cache = Cache(10, weigher=lambda *_: 1 if key else 0, on_evict=lambda *_: key)
    key.cache = cache
    cache[key] = cache
    cache[cache.begin("ticket")] = [cache]
    cache["iterator"] = iter(cache)
    return weakref.ref(key)


def test_values_and_keys_take_part_in_cyclic_collection():
    gone = cycle_of_everything()
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize(
    "make",
    [
        lambda: Cache(0),
        lambda: Cache(-1),
        lambda: Cache(max_weight=0),
        lambda: Cache(ttl=0),
        lambda: Cache(ttl=-1),
        lambda: Cache(ttl=float("nan")),
        lambda: Cache(tti=float("nan")),
        lambda: Cache(policy="fifo"),
        lambda: Cache(2**200),
        lambda: Cache(1).put("a", 1, ttl=float("nan")),
        lambda: Cache(1).put("a", 1, weight=-1),
        lambda: Cache(1, weigher=lambda key, value: -1).put("a", 1),
    ],
)
def test_a_wrong_value_is_named(make):
    with pytest.raises(ValidationError, match="must be") as refused:
        make()
    assert refused.value.place


@pytest.mark.parametrize(
    "use",
    [
        lambda cache: Cache("many"),
        lambda cache: Cache(1.5),
        lambda cache: Cache(on_evict=1),
        lambda cache: Cache(weigher="x"),
        lambda cache: Cache(ttl="1 h"),
        lambda cache: cache.get(),
        lambda cache: cache.get(1, 2, 3),
        lambda cache: cache.get(key=1),
        lambda cache: cache.get([]),
        lambda cache: cache.put([], 1),
        lambda cache: cache.put(1),
        lambda cache: cache.put(1, 2, 3),
        lambda cache: cache.put(1, 2, unknown=3),
        lambda cache: cache.put("a", 1, tags="one"),
        lambda cache: cache.put("a", 1, tags=[1]),
        lambda cache: cache.pop([]),
        lambda cache: cache.pop(1, 2, 3),
        lambda cache: cache.get_many(1),
        lambda cache: cache.get_many([[]]),
        lambda cache: cache.put_many([1]),
        lambda cache: cache.invalidate_tag(1),
        lambda cache: cache.fill("ticket", 1),
        lambda cache: cache.__setitem__([], 1),
        lambda cache: Cache(weigher=lambda key, value: None).put(1, 1),
        lambda cache: Cache(weigher=lambda key, value: "x").put(1, 1),
    ],
)
def test_a_wrong_type_is_an_error_and_breaks_nothing(use):
    cache = Cache(10)
    cache["kept"] = 1
    with pytest.raises((TypeError, ValueError)):
        use(cache)
    assert dict(cache.items()) == {"kept": 1}


def test_a_weigher_that_raises_stores_nothing():
    cache = Cache(10, weigher=lambda key, value: 1 // value)
    with pytest.raises(ZeroDivisionError):
        cache["a"] = 0
    cache["a"] = 1
    assert dict(cache.items()) == {"a": 1}


def test_huge_bounds_take_no_memory():
    cache = Cache(2**62, max_weight=2**63)
    cache["a"] = 1
    assert cache["a"] == 1


@pytest.mark.requirement("S1-28")
def test_a_look_up_takes_far_less_than_a_hundred_microseconds():
    cache = Cache(10_000)
    keys = [f"key {number}" for number in range(10_000)]
    cache.put_many((key, object()) for key in keys)
    start = time.perf_counter()
    for key in keys:
        cache.get(key)
    assert (time.perf_counter() - start) / len(keys) < 100e-6


MEASURE_MEMORY = """
import os, sys, tierstore
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
keys, value = [f"{number:036d}" for number in range(200_000)], object()
cache = tierstore.Cache(200_000)
before = resident()
for key in keys:
    cache[key] = value
for number in range(200_000, 400_000):
    cache[f"{number:036d}"] = value
print((resident() - before) / 200_000)
"""


@pytest.mark.requirement("S1-29")
def test_an_entry_takes_little_memory_beyond_its_key_and_value():
    run = subprocess.run([sys.executable, "-c", MEASURE_MEMORY], capture_output=True, text=True, check=True, timeout=60)
    assert float(run.stdout) <= 72


def test_it_may_be_subclassed_and_parametrised():
    class Own(Cache[str, int]):
        pass

    cache = Own(5)
    cache["a"] = 1
    cache.put("b", 2)
    assert (cache["a"], cache.get("b"), cache.get_many(["a"])) == (1, 2, [1])


def test_a_forked_child_goes_on_with_its_own_copy_and_its_own_sweeper():
    script = """
import os, time, tierstore
left = []
cache = tierstore.Cache(100, ttl=0.05, on_evict=lambda *left_with: left.append(left_with))
cache["a"] = 1
child = os.fork()
if child == 0:
    cache["b"] = 2
    time.sleep(2.5)
    os._exit(0 if sorted(left) == [("a", 1, "expired"), ("b", 2, "expired")] else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    run = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, timeout=60)
    assert run.stdout.strip() == "0", run.stderr


def test_the_package_exports_it():
    assert tierstore.Cache is Cache
    assert type(Cache().stats()) is tierstore.CacheStats
