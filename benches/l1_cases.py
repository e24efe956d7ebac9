"""L1.7: keys, values and loaders whose own code gets in the way, against every cache. `make bench BENCH=l1_cases`

Each case is a function that raises if the cache gets it wrong. A case runs in a process of its own, so that one that hangs or
crashes is a row of the table too. `ARGS=--write` commits the table to `benches/results`.
"""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import tierstore
from benches import _machine

CASE_LIMIT_S, TRIES = 15, 3
SLEEP_LIMIT_S = 4


class Contestant:
    """A cache behind the few names that the cases use."""

    def __init__(self, name: str, make: Callable[[int], Any]) -> None:
        self.name = name
        self.make = make

    def load(self, cache: Any, key: Any, loader: Callable[[], Any]) -> Any:
        return cache.get_or_load(key, loader)

    async def aload(self, cache: Any, key: Any, loader: Callable[[], Any]) -> Any:
        return await cache.aget_or_load(key, loader)


def expect(truth: object, said: str) -> None:
    if not truth:
        raise AssertionError(said)


# ---- keys -----------------------------------------------------------------------------------------------------------


class Key:
    """All of them collide; `act` runs within each comparison."""

    def __init__(self, name: str, act: Callable[[], Any] = lambda: None) -> None:
        self.name, self.act = name, act

    def __hash__(self) -> int:
        return 7

    def __eq__(self, other: object) -> bool:
        self.act()
        return isinstance(other, Key) and self.name == other.name


def eq_that_collides(contestant: Contestant) -> None:
    cache = contestant.make(500)
    for number in range(200):
        cache[Key(str(number))] = number
    expect(all(cache.get(Key(str(number))) == number for number in range(200)), "a colliding key was lost")


def eq_that_reenters(contestant: Contestant) -> None:
    cache = contestant.make(8)
    busy = []

    def act() -> None:
        if not busy:
            busy.append(1)
            cache[f"other {len(cache)}"] = 1
            cache.get("other 1")
            cache.pop("other 2", None)
            busy.clear()

    for round_ in range(50):
        cache[Key("a", act)] = round_
        expect(cache.get(Key("a", act)) in (round_, None), "another value came back")
        cache[Key(f"b {round_}", act)] = round_
    expect(len(cache) <= 8, "too many entries")


def eq_that_clears(contestant: Contestant) -> None:
    cache = contestant.make(50)
    for number in range(20):
        cache[Key(str(number), lambda: cache.clear())] = object()
    for number in range(20):
        cache.get(Key(str(number), lambda: cache.clear()))
    expect(len(cache) <= 20, "the length is wrong")


class Sleep:
    """What foreign code does for as long as nobody wakes it, but not for ever."""

    def __init__(self) -> None:
        self.began, self.woken, self.left_alone = threading.Semaphore(0), threading.Event(), True

    def __call__(self) -> None:
        self.began.release()
        self.left_alone &= self.woken.wait(SLEEP_LIMIT_S)


def eq_that_sleeps(contestant: Contestant) -> None:
    """Two threads compare slowly; a third, with other keys, is not kept waiting."""
    cache, sleep = contestant.make(100), Sleep()
    cache[Key("a")] = 1
    cache["plain"] = 2
    with ThreadPoolExecutor(2) as pool:
        slow = [pool.submit(cache.get, Key("a", sleep)) for _ in range(2)]
        sleep.began.acquire(timeout=SLEEP_LIMIT_S)
        expect(cache.get("plain") == 2, "a plain key was not found")
        sleep.woken.set()
        expect([each.result() for each in slow] == [1, 1], "a slow key was not found")
    expect(sleep.left_alone, "a plain key waited for a slow one")


def eq_that_raises(contestant: Contestant) -> None:
    def act() -> None:
        raise LookupError("not comparable")

    cache = contestant.make(10)
    cache[Key("a")] = 1
    for use in (lambda: cache.get(Key("b", act)), lambda: cache.__setitem__(Key("b", act), 2)):
        try:
            use()
        except LookupError:
            continue
    # Either key of a pair may be the one that is asked: make both raise.
    cache = contestant.make(10)
    cache[Key("a", act)] = 1
    try:
        cache.get(Key("b", act))
    except LookupError:
        cache["c"] = 3
        expect(cache.get("c") == 3, "the cache broke")
        return
    raise AssertionError("the error of a comparison was swallowed")


def equal_keys_as_in_a_dict(contestant: Contestant) -> None:
    class Text(str):
        __slots__ = ()

    for one, other in (("a", Text("a")), (Text("a"), "a"), (1, 1.0), (1, True), (0.0, False)):
        cache = contestant.make(10)
        cache[one] = "first"
        cache[other] = "second"
        expect(len(cache) == 1 and cache.get(one) == "second", f"{one!r} and {other!r} are two keys")


# ---- values ---------------------------------------------------------------------------------------------------------


class Value:
    """`act` runs when it is freed."""

    def __init__(self, act: Callable[[], Any] = lambda: None) -> None:
        self.act = act

    def __del__(self) -> None:
        self.act()


def destructor_that_reenters(contestant: Contestant) -> None:
    cache = contestant.make(5)
    ran = []

    def act() -> None:
        ran.append(1)
        if len(ran) < 200:
            cache.get("x")
            cache[f"from del {len(ran)}"] = Value()

    for number in range(100):
        cache[number] = Value(act)
    expect(ran, "no value was freed")
    expect(len(cache) <= 5, "too many entries")


def destructor_that_sleeps(contestant: Contestant) -> None:
    """While one thread frees a value slowly, another goes on."""
    cache, sleep = contestant.make(1), Sleep()
    cache["a"] = Value(sleep)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(cache.__setitem__, "b", 1)
        sleep.began.acquire(timeout=SLEEP_LIMIT_S)
        cache.get("b")
        sleep.woken.set()
        slow.result()
    expect(sleep.left_alone, "a get waited for a destructor")


def cycle_is_collected(contestant: Contestant) -> None:
    class Holder:
        pass

    holder = Holder()
    cache = contestant.make(10)
    holder.cache = cache  # type: ignore[attr-defined]
    cache["a"] = holder
    gone = weakref.ref(holder)
    del holder, cache
    gc.collect()
    expect(gone() is None, "a cycle through the cache is never freed")


def evicted_is_freed_at_once(contestant: Contestant) -> None:
    cache = contestant.make(2)
    freed = []
    cache["a"] = Value(lambda: freed.append(1))
    cache["a"] = 1
    expect(len(freed) == 1, "a replaced value lives on")
    for number in range(10):
        cache[number] = Value(lambda: freed.append(1))
    expect(len(freed) >= 9, f"of 8 evicted values {len(freed) - 1} were freed")


# ---- loads ----------------------------------------------------------------------------------------------------------


def one_load_for_fifty_threads(contestant: Contestant) -> None:
    cache, calls = contestant.make(10), []

    def loader() -> str:
        calls.append(1)
        time.sleep(0.1)
        return "value"

    with ThreadPoolExecutor(50) as pool:
        results = list(pool.map(lambda _: contestant.load(cache, "k", loader), range(50)))
    expect(results == ["value"] * 50, "wrong values")
    expect(len(calls) == 1, f"{len(calls)} loads")


def loader_that_raises_with_eight_waiters(contestant: Contestant) -> None:
    cache, calls, here = contestant.make(10), [], threading.Barrier(8)

    def loader() -> str:
        calls.append(1)
        time.sleep(0.3)
        raise LookupError("no such thing")

    def caught(_: int) -> type[BaseException] | None:
        try:
            here.wait()
            contestant.load(cache, "k", loader)
        except BaseException as error:
            return type(error)
        return None

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(caught, range(8)))
    expect(results == [LookupError] * 8, f"the waiters got {results}")
    expect(len(calls) == 1, f"{len(calls)} loads")
    expect(contestant.load(cache, "k", lambda: "later") == "later", "the failure was cached")


def one_load_for_fifty_tasks(contestant: Contestant) -> None:
    cache, calls = contestant.make(10), []

    async def loader() -> str:
        calls.append(1)
        await asyncio.sleep(0.05)
        return "value"

    async def main() -> list[Any]:
        return list(await asyncio.gather(*(contestant.aload(cache, "k", loader) for _ in range(50))))

    expect(asyncio.run(main()) == ["value"] * 50, "wrong values")
    expect(len(calls) == 1, f"{len(calls)} loads")


def cancelled_leader_hands_over(contestant: Contestant) -> None:
    cache = contestant.make(10)

    async def loader() -> str:
        await asyncio.sleep(0.05)
        return "value"

    async def main() -> list[Any]:
        tasks = [asyncio.ensure_future(contestant.aload(cache, "k", loader)) for _ in range(4)]
        await asyncio.sleep(0.01)
        tasks[0].cancel()
        return list(await asyncio.gather(*tasks, return_exceptions=True))

    results = asyncio.run(main())
    expect(results[1:] == ["value"] * 3, f"its waiters got {results[1:]}")


CASES: list[Callable[[Contestant], None]] = [
    eq_that_collides,
    eq_that_reenters,
    eq_that_clears,
    eq_that_sleeps,
    eq_that_raises,
    equal_keys_as_in_a_dict,
    destructor_that_reenters,
    destructor_that_sleeps,
    cycle_is_collected,
    evicted_is_freed_at_once,
    one_load_for_fifty_threads,
    loader_that_raises_with_eight_waiters,
    one_load_for_fifty_tasks,
    cancelled_leader_hands_over,
]


# ---- the rivals -----------------------------------------------------------------------------------------------------


class Cachebox(Contestant):
    """Its decorator is its single flight."""

    def load(self, cache: Any, key: Any, loader: Callable[[], Any]) -> Any:
        return self._decorated(cache, lambda _key: loader())(key)

    async def aload(self, cache: Any, key: Any, loader: Callable[[], Any]) -> Any:
        async def call(_key: Any) -> Any:
            return await loader()

        return await self._decorated(cache, call)(key)

    def _decorated(self, cache: Any, function: Any) -> Any:
        import cachebox

        if not hasattr(self, "_kept"):
            self._kept = cachebox.cached(cache)(function)
        return self._kept


class Plain(Contestant):
    """A cache without a load of its own: as its users write it."""

    def load(self, cache: Any, key: Any, loader: Callable[[], Any]) -> Any:
        if (found := cache.get(key)) is None:
            found = cache[key] = loader()
        return found

    async def aload(self, cache: Any, key: Any, loader: Callable[[], Any]) -> Any:
        if (found := cache.get(key)) is None:
            found = cache[key] = await loader()
        return found


class Setting:
    """A cache with `set` and `delete` behind the names of a mapping."""

    def __init__(self, cache: Any, found: Callable[[Any], Any], drop: str, length: Callable[[Any], int]) -> None:
        self.cache, self.found, self.drop, self.length = cache, found, drop, length

    def get(self, key: Any) -> Any:
        return self.found(self.cache.get(key))

    def __setitem__(self, key: Any, value: Any) -> None:
        self.cache.set(key, value)

    def pop(self, key: Any, default: Any) -> Any:
        getattr(self.cache, self.drop)(key)
        return default

    def clear(self) -> None:
        self.cache.clear()

    def __len__(self) -> int:
        return self.length(self.cache)


class Moka(Plain):
    def load(self, cache: Any, key: Any, loader: Callable[[], Any]) -> Any:
        return cache.cache.get_with(key, loader)


def contestants() -> list[Contestant]:
    import cachebox
    import cachetools
    import lru
    import moka_py
    import theine

    return [
        Contestant("tierstore", tierstore.Cache),
        Cachebox("cachebox", cachebox.LRUCache),
        Plain("cachetools", cachetools.LRUCache),
        Plain("lru-dict", lru.LRU),
        Moka(
            "moka-py", lambda size: Setting(moka_py.Moka(size), lambda found: found, "remove", lambda own: own.count())
        ),
        Plain("theine", lambda size: Setting(theine.Cache(size), lambda found: found[0], "delete", len)),
    ]


def outcome(name: str, case: str) -> str:
    """Run one case TRIES times, each in a process of its own: "ok" if all went well, or how the first that did not went wrong."""
    for _ in range(TRIES):
        command = [sys.executable, "-W", "ignore", "-m", "benches.l1_cases", name, case]
        try:
            ran = subprocess.run(command, capture_output=True, text=True, timeout=CASE_LIMIT_S)
        except subprocess.TimeoutExpired:
            return "hangs"
        if ran.returncode != 0:
            return "crashes" if ran.returncode < 0 else "fails"
    return "ok"


def main() -> None:
    names = [contestant.name for contestant in contestants()]
    lines = [_machine.header(), "", f"{'':<40}" + "".join(f"{name:>12}" for name in names)]
    for case in CASES:
        row = "".join(f"{outcome(name, case.__name__):>12}" for name in names)
        lines.append(f"{case.__name__.replace('_', ' '):<40}{row}")
    print("\n".join(lines))
    if "--write" in sys.argv:
        _machine.write("l1_cases.txt", "\n".join(lines) + "\n")


def run_one(name: str, case: str) -> None:
    chosen = next(contestant for contestant in contestants() if contestant.name == name)
    next(each for each in CASES if each.__name__ == case)(chosen)


if __name__ == "__main__":
    run_one(*sys.argv[1:3])
