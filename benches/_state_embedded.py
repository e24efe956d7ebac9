"""State embedded and in memory, beside diskcache, sqlite3 by hand, aiocache and a dict; and gets while 200,000 values are swept."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiocache
import diskcache
import orjson

import tierstore
from benches._paired import Rate, Row, alternate, at_least, calling, faster, share
from benches._state_servers import CALLERS, COLD, KEYS, SECONDS, TTL_S, VALUE, fill, key, ours
from tierstore import Config, StateConfig

SYNCHRONOUS_FULL = 2
EXPIRED, SWEPT_WITHIN_S, AT_ONCE, FILLED_IN_S = 200_000, 30.0, 1_000, 8.0
CALLS_A_LOOK = 50
Plain = Callable[[int], object]


def looping(call: Plain) -> Rate:
    """One caller of a blocking function, for a while."""

    async def rate() -> float:
        clock, done = time.perf_counter, 0
        started = clock()
        while clock() < started + SECONDS:
            for number in range(done, done + CALLS_A_LOOK):
                call(number)
            done += CALLS_A_LOOK
        return done / (clock() - started)

    return rate


class ByHand:
    """A table of one's own, as one would write it: WAL, each set durable when it returns."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        for pragma in ("journal_mode = WAL", f"synchronous = {SYNCHRONOUS_FULL}"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.execute("CREATE TABLE plain (key TEXT PRIMARY KEY, value TEXT, ends REAL) WITHOUT ROWID")

    def get(self, number: int) -> object:
        query = "SELECT value FROM plain WHERE key = ? AND ends > ?"
        row = self._connection.execute(query, (key(number), time.time())).fetchone()
        return None if row is None else orjson.loads(row[0])

    def set(self, number: int) -> object:
        query = "INSERT INTO plain VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value, ends = excluded.ends"
        return self._connection.execute(query, (key(number), orjson.dumps(VALUE).decode(), time.time() + TTL_S))

    def close(self) -> None:
        self._connection.close()


async def embedded_rows(folder: Path) -> list[Row]:
    disk = diskcache.Cache(str(folder / "diskcache"), sqlite_synchronous=SYNCHRONOUS_FULL)
    hand = ByHand(folder / "by_hand.db")

    def disk_get(number: int) -> object:
        return orjson.loads(disk.get(key(number)))

    def disk_set(number: int) -> object:
        return disk.set(key(number), orjson.dumps(VALUE), expire=TTL_S)

    with tierstore.blocking.open(_config(folder / "blocking", "sql")) as store:
        sets: dict[str, Plain] = {"ours": _set(store), "diskcache": disk_set, "sqlite3": hand.set}
        gets: dict[str, Plain] = {"ours": _get(store), "diskcache": disk_get, "sqlite3": hand.get}
        for put in sets.values():
            for number in range(KEYS):
                put(number)
        set_rates = await alternate({name: looping(put) for name, put in sets.items()})
        get_rates = await alternate({name: looping(get) for name, get in gets.items()})
    async with tierstore.open(_config(folder / "async", "sql")) as other:
        crowd = {"ours": calling(ours(other).set, CALLERS, SECONDS), "diskcache": looping(disk_set)}
        many = await alternate(crowd)
    disk.close()
    hand.close()
    rows = [
        faster("state", "embedded, get", get_rates["ours"], ("diskcache", get_rates["diskcache"]), 3),
        faster("state", "embedded, set, lone caller", set_rates["ours"], ("sqlite3", set_rates["sqlite3"]), 0.9),
        faster("state", "embedded, set, 100 callers", many["ours"], ("diskcache", many["diskcache"]), 5),
    ]
    rows.append(_row("embedded, get", get_rates, "sqlite3"))
    rows.append(_row("embedded, set, lone caller", set_rates, "diskcache"))
    return rows


async def memory_rows(folder: Path) -> list[Row]:
    text, held, library = orjson.dumps(VALUE), {}, aiocache.SimpleMemoryCache()

    def dict_get(number: int) -> object:
        return orjson.loads(held[key(number)])

    def dict_set(number: int) -> object:
        held[key(number)] = orjson.dumps(VALUE)
        return None

    async def library_get(number: int) -> object:
        return orjson.loads(await library.get(key(number)))

    for number in range(KEYS):
        dict_set(number)
        await library.set(key(number), text, ttl=TTL_S)
    with tierstore.blocking.open(_config(folder / "memory", "memory")) as store:
        put, get = _set(store), _get(store)
        for number in range(KEYS):
            put(number)
        gets = await alternate({"ours": looping(get), "a dict of JSON": looping(dict_get)})
        sets = await alternate({"ours": looping(put), "a dict of JSON": looping(dict_set)})
    async with tierstore.open(_config(folder / "memory2", "memory")) as other:
        contender = ours(other)
        await fill({"ours": contender})
        both = {"ours": calling(contender.get, 1, SECONDS), "aiocache": calling(library_get, 1, SECONDS)}
        awaited = await alternate(both)
    return [
        at_least("state", "memory, get, blocking", gets["ours"], 1_000_000),
        _row("memory, get, blocking", gets, "a dict of JSON"),
        _row("memory, set, blocking", sets, "a dict of JSON"),
        _row("memory, get, async", awaited, "aiocache"),
    ]


async def sweep_rows(folder: Path) -> list[Row]:
    """The slowest get while values that ended are swept."""
    clock = time.monotonic
    async with tierstore.open(_config(folder / "sweep", "sql")) as store:
        state = store.state
        await state.set("kept", VALUE, ttl=None)
        ends = clock() + FILLED_IN_S
        for first in range(0, EXPIRED, AT_ONCE):
            many = {f"gone:{number}": VALUE for number in range(first, first + AT_ONCE)}
            await state.set_many(many, ttl=max(0.001, ends - clock()))
        while clock() < ends:
            await state.get("kept")
        took: list[float] = []
        while (await state.statistics()).expired < EXPIRED and clock() < ends + SWEPT_WITHIN_S:
            for _ in range(200):
                began = time.perf_counter()
                if await state.get("kept") is None:
                    raise AssertionError("a value is missing")
                took.append((time.perf_counter() - began) * 1e3)
        swept_in, expired = clock() - ends, (await state.statistics()).expired
    slowest, p99 = max(took), share(took, 0.99)
    what = f"embedded, slowest of {len(took):,} gets while {expired:,} values are swept in {swept_in:.0f} s"
    return [
        Row("state", what, f"{slowest:.2f} ms", "", None, "≤ 10 ms", slowest <= 10 and expired >= EXPIRED),
        Row("", "embedded, p99 of them", f"{p99:.3f} ms", "", None, "", None),
    ]


def _config(folder: Path, place: Any) -> Config:
    return Config(folder, cache=COLD, state=StateConfig(place, ttl=TTL_S))


def _get(store: Any) -> Plain:
    state = store.state
    return lambda number: state.get(key(number))


def _set(store: Any) -> Plain:
    state = store.state
    return lambda number: state.set(key(number), VALUE)


def _row(what: str, found: dict[str, float], rival: str) -> Row:
    ratio = found["ours"] / found[rival]
    return Row("", what, f"{found['ours']:,.0f}/s", f"{rival} {found[rival]:,.0f}/s", ratio, "", None)
