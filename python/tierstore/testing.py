"""Suites for people who write a backend of their own: what the stores rely on, tried call by call.

    async def test_my_driver():
        driver = MyPairs(...)                                          # open
        await tierstore.testing.state_conformance(driver)              # an AssertionError says what does not hold

A driver of state is a class with the methods of `tierstore.backends.pairs.Pairs`, whose docstrings are the contract. For the blocking face,
in which no method of a driver suspends: `run_blocking(state_conformance(driver, blocking=True))`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple
from uuid import uuid4

from tierstore.backends import Gap
from tierstore.backends.pairs import ABSENT_TAG, KEEP_MS, Changed, Feed, Pair, Pairs, Put
from tierstore.errors import raise_alone
from tierstore.runtime import AsyncioRuntime, Deadline, Runtime, ThreadsRuntime
from tierstore.runtime import drive as run_blocking

__all__ = ["run_blocking", "state_checks", "state_conformance"]

CALL_S: Final = 10.0
TURNS: Final = 1_000
"""How often something is looked at that comes by itself, 10 ms apart."""
SHORT_MS: Final = 200
HOUR_MS: Final = 3_600_000
INT64: Final = (2**63 - 1, -(2**63))


class Trial(NamedTuple):
    """One check's driver, under keys of the check's own."""

    pairs: Pairs
    runtime: Runtime
    prefix: str

    def key(self, name: object = "key") -> str:
        return f"{self.prefix}{name}"

    @property
    def deadline(self) -> Deadline:
        """That of one call."""
        return self.runtime.deadline(CALL_S)

    async def put(
        self, name: object, value: bytes, ttl_ms: int | None = None, expected: str | None = None
    ) -> str | None:
        return await self.pairs.put(Put(self.key(name), value, ttl_ms, expected), deadline=self.deadline)

    async def get(self, name: object = "key") -> Pair | None:
        (pair,) = await self.pairs.get_many([self.key(name)], deadline=self.deadline)
        return pair

    async def value(self, name: object = "key") -> bytes | None:
        pair = await self.get(name)
        return None if pair is None else pair.value

    async def left(self, name: object = "key") -> int | None:
        return await self.pairs.left_ms(self.key(name), deadline=self.deadline)

    async def gone(self, name: object) -> None:
        """Return once the pair is not there any more."""
        for _ in range(TURNS):
            if await self.get(name) is None:
                return
            await self.runtime.sleep(0.01)
        raise AssertionError("a pair is still there after its end")

    async def keys(self, prefix: str, limit: int) -> list[str]:
        found: list[str] = []
        after: str | None = None
        while True:
            page, after = await self.pairs.page(prefix, limit=limit, after=after, deadline=self.deadline)
            found += page
            if after is None:
                return found

    async def changes(self, feed: Feed, count: int) -> list[Changed]:
        """The next `count` changes of the feed, once each: it may tell one twice."""
        seen: dict[str, Changed] = {}
        for _ in range(TURNS):
            for change in await feed.receive(wait_s=0.1):
                _hold(not isinstance(change, Gap), "a feed that was read at once told a gap")
                if isinstance(change, Changed):
                    seen.setdefault(f"{change.position} {change.key} {change.kind} {change.etag}", change)
            if len(seen) >= count:
                return list(seen.values())
        raise AssertionError(f"a feed told {len(seen)} changes; expected {count}")


Check = Callable[[Trial], Awaitable[None]]
_CHECKS: dict[str, Check] = {}


def state_checks() -> tuple[str, ...]:
    """The names of all checks, for a test of each."""
    return tuple(_CHECKS)


async def state_conformance(driver: Pairs, *, blocking: bool = False, check: str | None = None) -> None:
    """Try an open driver of state by every check, or by the one named `check`; AssertionError for what does not hold.

    It writes under keys of its own, and deletes them. `blocking`: the driver is one of the blocking face.
    """
    used: Runtime = ThreadsRuntime() if blocking else AsyncioRuntime()
    for name in [check] if check is not None else state_checks():
        trial = Trial(driver, used, f"conformance:{uuid4().hex}:")
        try:
            await _CHECKS[name](trial)
        except AssertionError as error:
            raise_alone(AssertionError(f"{name.replace('_', ' ')}: {error}"))
        finally:
            await driver.delete_many(await trial.keys(trial.prefix, 100), deadline=trial.deadline)


def _check(check: Check) -> Check:
    _CHECKS[check.__name__.strip("_")] = check
    return check


def _hold(holds: bool, otherwise: str) -> None:
    if not holds:
        raise AssertionError(otherwise)


def _same(got: Any, expected: Any, what: str) -> None:
    _hold(got == expected and type(got) is type(expected), f"{what}: got {got!r}, expected {expected!r}")


# One value


@_check
async def _a_value_comes_back_as_it_was(trial: Trial) -> None:
    for value in (b"1", b'{"a": "\xc3\xbc"}', b"\x01\x00\xff", b"\x01", b"x" * 100_000, b'"ends in blanks" \t\n\r '):
        etag = await trial.put("key", value)
        pair = await trial.get()
        _hold(isinstance(etag, str) and etag != ABSENT_TAG, "put returned no etag")
        _hold(pair is not None, "a value that was put is absent")
        _same((pair.value, pair.etag) if pair else None, (value, etag), "value and etag")
    _same(await trial.value("absent"), None, "an absent key")


@_check
async def _every_key_means_itself(trial: Trial) -> None:
    names = [
        "a",
        "A",
        "a ",
        "*",
        "?",
        "[a]",
        "%",
        "_",
        "\\",
        "{a}",
        "{}",
        "a{b",
        "ü",
        "\U0001f600",
        "a:b",
        "'",
        '"',
        "x" * 900,
    ]
    for number, name in enumerate(names):
        await trial.put(name, b"%d" % number)
    for number, name in enumerate(names):
        _same(await trial.value(name), b"%d" % number, f"the value under {name[:20]!r}")


@_check
async def _an_etag_is_new_with_every_value_and_stays_with_a_new_end(trial: Trial) -> None:
    etags = [await trial.put("key", b"1") for _ in range(5)]
    _same(len(set(etags)), 5, "different etags of five equal values")
    _hold(
        await trial.pairs.expire(trial.key(), HOUR_MS, deadline=trial.deadline) is True, "expire of a pair is not True"
    )
    pair = await trial.get()
    _same(pair.etag if pair else None, etags[-1], "the etag after a new end")
    _hold(
        await trial.pairs.expire(trial.key("absent"), HOUR_MS, deadline=trial.deadline) is False,
        "expire of nothing is not False",
    )


@_check
async def _a_conditional_write_needs_what_it_expects(trial: Trial) -> None:
    _same(await trial.put("key", b"1", expected="0123456789abcdef"), None, "put over an absent key with an etag")
    first = await trial.put("key", b"1", expected=ABSENT_TAG)
    _hold(first is not None, "put of an absent key that must be absent")
    _same(await trial.put("key", b"2", expected=ABSENT_TAG), None, "put of a key that must be absent and is there")
    second = await trial.put("key", b"3", expected=first)
    _hold(second is not None, "put with the etag that is there")
    _same(await trial.put("key", b"4", expected=first), None, "put with an etag that has passed")
    _same(await trial.value(), b"3", "the value after refused writes")
    delete = trial.pairs.delete
    _same(
        await delete(trial.key(), expected=first, deadline=trial.deadline), None, "delete with an etag that has passed"
    )
    _same(await trial.value(), b"3", "the value after a refused delete")
    deleted = await delete(trial.key(), expected=second, deadline=trial.deadline)
    _hold(deleted is True, "delete with the etag that is there is not True")
    _same(await trial.value(), None, "the value after a delete")
    _hold(await delete(trial.key(), deadline=trial.deadline) is False, "delete of nothing is not False")


@_check
async def _one_of_many_writers_wins(trial: Trial) -> None:
    puts = [trial.put("key", b"%d" % number, expected=ABSENT_TAG) for number in range(20)]
    won = [etag for etag in await trial.runtime.gather(puts) if etag is not None]
    _same(len(won), 1, "winners among twenty that add")
    over = await trial.runtime.gather([trial.put("key", b"9", expected=won[0]) for _ in range(20)])
    _same(sum(etag is not None for etag in over), 1, "winners among twenty with the same etag")


@_check
async def _pop_gives_a_value_once(trial: Trial) -> None:
    await trial.put("key", b"1")
    popped = await trial.runtime.gather([trial.pairs.pop(trial.key(), deadline=trial.deadline) for _ in range(20)])
    _same([each for each in popped if each is not None], [b"1"], "what twenty callers popped")
    _same(await trial.value(), None, "the value after a pop")


# Ends


@_check
async def _what_has_ended_is_absent_to_every_call(trial: Trial) -> None:
    names = ["get", "left", "look", "expire", "pop", "delete", "increment", "add", "page", "many"]
    for name in names:
        await trial.put(name, b"1", SHORT_MS)
    await trial.gone("get")
    for name in names:
        await trial.gone(name)
    _same(await trial.left("left"), None, "left_ms of an ended pair")
    _same(await trial.pairs.look(trial.key("look"), deadline=trial.deadline), None, "look at an ended pair")
    _hold(
        await trial.pairs.expire(trial.key("expire"), HOUR_MS, deadline=trial.deadline) is False,
        "expire of one is not False",
    )
    _same(await trial.pairs.pop(trial.key("pop"), deadline=trial.deadline), None, "pop of an ended pair")
    _hold(
        await trial.pairs.delete(trial.key("delete"), deadline=trial.deadline) is False,
        "delete of an ended pair is not False",
    )
    counted = await trial.pairs.increment(trial.key("increment"), 5, None, deadline=trial.deadline)
    _same(counted, 5, "increment of an ended counter")
    _hold(await trial.put("add", b"2", expected=ABSENT_TAG) is not None, "an ended pair is not absent to a put")
    _same(await trial.keys(trial.key("page"), 10), [], "a page with an ended pair")
    _same(await trial.pairs.delete_many([trial.key("many")], deadline=trial.deadline), 0, "delete_many of one")


@_check
async def _an_end_is_told_moved_and_taken_away(trial: Trial) -> None:
    await trial.put("key", b"1", HOUR_MS)
    left = await trial.left()
    _hold(left is not None and HOUR_MS - 60_000 < left <= HOUR_MS, f"left_ms is {left}, expected nearly {HOUR_MS}")
    pair = await trial.pairs.look(trial.key(), deadline=trial.deadline)
    ends, wall = (pair.expires_ms if pair else None), trial.runtime.wall() * 1_000
    _hold(ends is not None and abs(ends - wall - HOUR_MS) < 600_000, "look tells no end, or not in ms since the epoch")
    await trial.pairs.expire(trial.key(), 10 * HOUR_MS, deadline=trial.deadline)
    _hold((await trial.left() or 0) > 9 * HOUR_MS, "expire did not move the end")
    await trial.put("key", b"2", KEEP_MS)
    _hold((await trial.left() or 0) > 9 * HOUR_MS, "a put with KEEP_MS did not keep the end")
    await trial.pairs.expire(trial.key(), None, deadline=trial.deadline)
    _same(await trial.left(), KEEP_MS, "left_ms without an end")
    pair = await trial.pairs.look(trial.key(), deadline=trial.deadline)
    _same(pair.expires_ms if pair else 0, None, "the end of a pair without one")
    await trial.put("key", b"3", HOUR_MS)
    await trial.put("key", b"4", None)
    _same(await trial.left(), KEEP_MS, "left_ms after a put without an end")
    await trial.put("fresh", b"1", KEEP_MS)
    _same(await trial.left("fresh"), KEEP_MS, "left_ms after a put of an absent key with KEEP_MS")


# Numbers


@_check
async def _increments_are_exact_and_none_is_lost(trial: Trial) -> None:
    increment, ms = trial.pairs.increment, HOUR_MS
    await trial.runtime.gather([increment(trial.key(), 2, ms, deadline=trial.deadline) for _ in range(50)])
    _same(await trial.value(), b"100", "fifty increments by two")
    _hold((await trial.left() or 0) > HOUR_MS / 2, "a new counter did not take the end")
    await increment(trial.key(), 1, None, deadline=trial.deadline)
    _hold((await trial.left() or 0) > HOUR_MS / 2, "a counter that was there did not keep its end")
    for most in INT64:
        await trial.put("key", b"%d" % most)
        step = 1 if most > 0 else -1
        _same(await increment(trial.key(), step, None, deadline=trial.deadline), None, "increment beyond int64")
        _same(await trial.value(), b"%d" % most, "the value after a refused increment")
        _same(
            await increment(trial.key(), -step, None, deadline=trial.deadline),
            most - step,
            "increment near the end of int64",
        )
    for value in (b"1.5", b'"5"', b"1e3", b"\x015", b"null", b"[]", b"9223372036854775808", b"+1", b"01"):
        await trial.put("key", value)
        _same(await increment(trial.key(), 1, None, deadline=trial.deadline), None, f"increment of {value!r}")
        _same(await trial.value(), value, "the value after a refused increment")


# Many keys


@_check
async def _many_are_read_written_and_deleted(trial: Trial) -> None:
    names = [f"n{number}" for number in range(250)]
    puts = [Put(trial.key(name), name.encode(), HOUR_MS if number % 2 else None) for number, name in enumerate(names)]
    etags = await trial.pairs.put_many(puts, deadline=trial.deadline)
    _same(len(set(etags)), 250, "different etags of put_many")
    asked = [trial.key(name) for name in [*reversed(names), "absent", "n3", "n3"]]
    found = await trial.pairs.get_many(asked, deadline=trial.deadline)
    values = [None if pair is None else pair.value for pair in found]
    _same(
        values, [*(name.encode() for name in reversed(names)), None, b"n3", b"n3"], "get_many in the order of its keys"
    )
    _same([pair.etag for pair in found[:250] if pair], etags[::-1], "etags of get_many")
    _same(await trial.left("n0"), KEEP_MS, "each put its own end: without one")
    _hold((await trial.left("n1") or 0) > HOUR_MS / 2, "each put its own end: an hour")
    gone = [trial.key(name) for name in [*names[:100], "absent"]]
    _same(await trial.pairs.delete_many(gone, deadline=trial.deadline), 100, "delete_many of a hundred and one absent")
    _same(len(await trial.keys(trial.prefix, 30)), 150, "what is left")


@_check
async def _pages_give_all_keys_under_a_prefix_and_no_other(trial: Trial) -> None:
    inside = [f"in%_*?[{number:03}" for number in range(130)]
    outside = ["in%_*?", "in", "inX_*?[0", "in%X*?[0", "in%_X?[0", "in%_*X[0", "jn", "IN%_*?[0", "in\U0010ffff"]
    await trial.pairs.put_many([Put(trial.key(name), b"1", None) for name in inside + outside], deadline=trial.deadline)
    for limit in (1, 7, 1_000):
        found = await trial.keys(trial.key("in%_*?["), limit)
        _same(sorted(set(found)), sorted(trial.key(name) for name in inside), f"keys in pages of {limit}")
    count, after = 0, None
    while True:
        deleted, after = await trial.pairs.delete_prefix(
            trial.key("in%_*?["), limit=50, after=after, deadline=trial.deadline
        )
        count += deleted
        if after is None:
            break
    _same(count, 130, "how many delete_prefix deleted")
    _same(sorted(set(await trial.keys(trial.prefix, 100))), sorted(trial.key(name) for name in outside), "what is left")


# Changes


@_check
async def _every_change_is_told_in_order(trial: Trial) -> None:
    feed = await trial.pairs.watch(trial.key("w"), deadline=trial.deadline)
    try:
        first = await trial.put("w1", b"1", HOUR_MS)
        await trial.put("other", b"1")
        second = await trial.put("w1", b"2")
        await trial.pairs.expire(trial.key("w1"), HOUR_MS, deadline=trial.deadline)
        await trial.pairs.delete(trial.key("w1"), deadline=trial.deadline)
        await trial.pairs.delete(trial.key("w1"), deadline=trial.deadline)
        await trial.pairs.put_many([Put(trial.key("w2"), b"1", None)], deadline=trial.deadline)
        await trial.pairs.increment(trial.key("w3"), 1, None, deadline=trial.deadline)
        await trial.pairs.pop(trial.key("w2"), deadline=trial.deadline)
        told = await trial.changes(feed, 6)
    finally:
        await feed.close()
    of = {name: [(each.kind, each.etag) for each in told if each.key == trial.key(name)] for name in ("w1", "w2", "w3")}
    _same(of["w1"], [("set", first), ("set", second), ("delete", None)], "changes of one key")
    _same([kind for kind, _ in of["w2"]], ["set", "delete"], "changes by put_many and pop")
    _same([kind for kind, _ in of["w3"]], ["set"], "changes by increment")
    _same(len(told), 6, "changes under the prefix")


@_check
async def _an_end_is_told_as_a_change(trial: Trial) -> None:
    feed = await trial.pairs.watch(trial.key("w"), deadline=trial.deadline)
    try:
        await trial.put("w1", b"1", SHORT_MS)
        told: list[Changed] = []
        for _ in range(TURNS):
            told += [each for each in await feed.receive(wait_s=0.1) if isinstance(each, Changed)]
            if told and told[-1].kind == "expire":
                break
    finally:
        await feed.close()
    _same([each.kind for each in told], ["set", "expire"], "what was told of a pair that ended")
    _same(told[-1].key, trial.key("w1"), "the key that ended")
