"""Traces that are made, not recorded: requests in the patterns that tell one eviction policy from another.

Each is the same in every run and with every version of Python: the only chance in it is `random.Random(SEED).random()`. `digest` names a
trace. How each is made and what it shows stands at its function; `make bench BENCH=hit_ratio` measures them all.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import sys
from array import array
from bisect import bisect
from collections.abc import Callable, Hashable, Iterable, Iterator
from random import Random

SEED = 5
REQUESTS = 200_000
Make = Callable[[Random], Iterable[Hashable]]
Request = tuple[float, Hashable]
"""The minute and the key."""


def zipf(chance: Random, keys: int, exponent: float) -> Callable[[], int]:
    """Draws ranks from 0: rank r is asked for in proportion to 1 / (r + 1) ** exponent."""
    sums = list(itertools.accumulate(1 / (rank + 1) ** exponent for rank in range(keys)))
    return lambda: bisect(sums, chance.random() * sums[-1])


def popular(chance: Random) -> Iterator[int]:
    """Zipf 0.9 over 30,000 keys: steady popularity. Frequency is all that counts; recency alone spends space on the tail."""
    draw = zipf(chance, 30_000, 0.9)
    return (draw() for _ in range(REQUESTS))


def flat(chance: Random) -> Iterator[int]:
    """Zipf 0.7 over 30,000 keys: the same, where few keys stand out and counts must be good to tell them apart."""
    draw = zipf(chance, 30_000, 0.7)
    return (draw() for _ in range(REQUESTS))


def drifting(chance: Random) -> Iterator[int]:
    """Zipf 1.0 over 20,000 keys; every 30 requests what is popular moves on by one key. Recency wins: old counts mislead."""
    draw = zipf(chance, 20_000, 1.0)
    return (draw() + at // 30 for at in range(REQUESTS))


def shifting(chance: Random) -> Iterator[int]:
    """Zipf 1.0 over 10,000 keys, 7,000 of which are new every 50,000 requests: how soon a policy lets go of yesterday."""
    draw = zipf(chance, 10_000, 1.0)
    return (draw() + at // 50_000 * 7_000 for at in range(REQUESTS))


def scanned(chance: Random) -> Iterator[tuple[str, int]]:
    """Zipf 0.9 over a hot set of 8,000 keys; after each 10,000 requests somebody reads 3,000 other keys in order, once.

    A policy without a filter gives the hot set away at every scan.
    """
    draw = zipf(chance, 8_000, 0.9)
    for scan in range(REQUESTS // 13_000):
        yield from (("hot", draw()) for _ in range(10_000))
        yield from (("scan", 3_000 * scan + step) for step in range(3_000))


def loops(_: Random) -> Iterator[tuple[str, int]]:
    """In turn five rounds of a loop over 4,000 keys and two of one over 15,000, without any chance.

    LRU hits nothing of a loop that is longer than the cache; the optimum keeps a part of it and stays with that.
    """
    for _turn in range(REQUESTS // 50_000):
        yield from (("short", step % 4_000) for step in range(20_000))
        yield from (("long", step % 15_000) for step in range(30_000))


def looping(chance: Random) -> Iterator[tuple[str, int]]:
    """Half of the requests go round over 8,000 keys, half are Zipf 0.9 over 10,000: a batch job beside users."""
    draw = zipf(chance, 10_000, 0.9)
    return (("hot", draw()) if chance.random() < 0.5 else ("loop", at % 8_000) for at in range(REQUESTS))


def pools(chance: Random) -> Iterator[tuple[str, int]]:
    """A page of an index, one of 200, and a record, one of 20,000, in turn; within its kind each is as likely as any other.

    Who keeps the index hits half of all requests with 200 entries; LRU fills itself with records.
    """
    for _ in range(REQUESTS // 2):
        yield "index", int(chance.random() * 200)
        yield "record", int(chance.random() * 20_000)


def bursts(chance: Random) -> Iterator[tuple[str, int]]:
    """Zipf 0.95 over 10,000 keys; the last 4,000 of each 10,000 requests are half for 400 keys that are new and die with the burst.

    New keys must get their chance at once, and leave again.
    """
    draw = zipf(chance, 10_000, 0.95)
    for at in range(REQUESTS):
        fresh = at % 10_000 >= 6_000 and chance.random() < 0.5
        yield ("new", at // 10_000 * 400 + int(chance.random() * 400)) if fresh else ("hot", draw())


def wonders(chance: Random) -> Iterator[tuple[str, int]]:
    """Two of five requests are for a key that is never asked for again, the others Zipf 0.95 over 10,000.

    What it costs to let everybody in.
    """
    draw = zipf(chance, 10_000, 0.95)
    return (("once", at) if chance.random() < 0.4 else ("hot", draw()) for at in range(REQUESTS))


def twice(chance: Random) -> Iterator[int]:
    """Zipf 0.6 over 40,000 keys, and each is asked for again within 50 requests: a read and its echo.

    Two uses so near each other prove nothing.
    """
    draw = zipf(chance, 40_000, 0.6)
    times: list[tuple[float, int]] = []
    for at in range(REQUESTS // 2):
        key = draw()
        times += [(at, key), (at + 1 + 24 * chance.random(), key)]
    return (key for _, key in sorted(times))


def news(chance: Random) -> Iterator[int]:
    """Every 8 requests there is a new key, and the age of what is asked for, in keys, is exponential with mean 400.

    LRU is nearly the optimum.
    """
    return (at // 8 - int(-400 * math.log(1 - chance.random())) for at in range(REQUESTS))


SHOP_MINUTES, SHOP_PRODUCTS, SHOP_CATEGORIES = 24 * 60, 12_000, 60
SALE_FROM, SALE_UNTIL, SALE_PRODUCTS = 20 * 60, 20 * 60 + 40, 30
CRAWL_FROM, CRAWL_A_MINUTE = 2 * 60, 80


def shop(chance: Random) -> Iterator[Hashable]:
    """A day of a web shop, minute by minute, as its log would have it: popularity, short lives, a flood, staleness and a scan at once.

    Visitors come by the hour, fewest at 4:00 and eight times as many at 16:00, and four times as many again while a sale lasts, from 20:00
    to 20:40. A visitor sees six products on average, half a minute to two minutes apart, and each step reads the session too. A product is
    one seen before (one in five), one of the visitor's category (two in five, Zipf 0.8 of 200), or any (Zipf 0.9 of 12,000); in the sale
    seven in ten are among its 30. Every hour one product in fifty changes, and has another key from then on. From 2:00 a crawler
    reads every product once, in order, 80 a minute.
    """
    return (key for _, key in sorted(itertools.chain(_visits(chance), _crawl()), key=lambda request: request[0]))


def _arrivals(minute: int) -> float:
    """Visitors in a minute."""
    ordinary = 1 + 7 * (1 - math.cos(2 * math.pi * (minute - 4 * 60) / SHOP_MINUTES)) / 2
    return 2.1 * ordinary * (4 if SALE_FROM <= minute < SALE_UNTIL else 1)


def _product(number: int, at: float) -> Hashable:
    """The key of a product as it is at a minute: it changes at one hour in fifty."""
    return "product", number, (int(at) // 60 + number) // 50


def _visits(chance: Random) -> Iterator[Request]:
    anywhere, within = zipf(chance, SHOP_PRODUCTS, 0.9), zipf(chance, SHOP_PRODUCTS // SHOP_CATEGORIES, 0.8)

    def choose(at: float, category: int, seen: list[int]) -> int:
        which = chance.random()
        if SALE_FROM <= at < SALE_UNTIL and which < 0.7:
            return int(chance.random() * SALE_PRODUCTS) * SHOP_CATEGORIES
        if seen and which < 0.2:
            return seen[int(chance.random() * len(seen))]
        return within() * SHOP_CATEGORIES + category if which < 0.6 else anywhere()

    visitors = 0.0
    for minute in range(SHOP_MINUTES):
        before, visitors = visitors, visitors + _arrivals(minute)
        for visitor in range(int(before), int(visitors)):
            at, category = minute + chance.random(), int(chance.random() * SHOP_CATEGORIES)
            seen: list[int] = []
            while not seen or chance.random() > 1 / 6:
                seen.append(choose(at, category, seen))
                yield at, ("session", visitor)
                yield at, _product(seen[-1], at)
                at += 0.5 + 1.5 * chance.random()


def _crawl() -> Iterator[Request]:
    for number in range(SHOP_PRODUCTS):
        at = CRAWL_FROM + number / CRAWL_A_MINUTE
        yield at, _product(number, at)


MADE: dict[str, Make] = {
    make.__name__: make
    for make in (shop, popular, flat, drifting, shifting, scanned, loops, looping, pools, bursts, wonders, twice, news)
}


def made(name: str) -> list[int]:
    """Dense ids in order of first appearance."""
    ids: dict[Hashable, int] = {}
    return [ids.setdefault(key, len(ids)) for key in MADE[name](Random(SEED))]


def digest(keys: Iterable[int]) -> str:
    """SHA-256 of the keys, each as a little-endian uint32."""
    packed = array("I", keys)
    if sys.byteorder == "big":
        packed.byteswap()
    return hashlib.sha256(packed.tobytes()).hexdigest()
