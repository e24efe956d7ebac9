"""Traces that are made, not recorded: what a policy that was tuned to recorded ones might get wrong. Each is the same in every run."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

REQUESTS = 200_000
Keys = NDArray[np.int64]


def zipf(chance: np.random.Generator, count: int, keys: int, exponent: float) -> Keys:
    """Keys by rank, the first the most popular."""
    weights = 1 / np.arange(1, keys + 1) ** exponent
    return chance.choice(keys, size=count, p=weights / weights.sum())


def popular(chance: np.random.Generator) -> Keys:
    return zipf(chance, REQUESTS, 30_000, 0.9)


def flat(chance: np.random.Generator) -> Keys:
    return zipf(chance, REQUESTS, 30_000, 0.7)


def drifting(chance: np.random.Generator) -> Keys:
    """Every 30 requests what is popular moves on by one key."""
    return zipf(chance, REQUESTS, 20_000, 1.0) + np.arange(REQUESTS) // 30


def shifting(chance: np.random.Generator) -> Keys:
    """Every 50,000 requests most of what is popular is new."""
    return zipf(chance, REQUESTS, 10_000, 1.0) + np.arange(REQUESTS) // 50_000 * 7_000


def scanned(chance: np.random.Generator) -> Keys:
    """Between 10,000 requests each somebody reads 3,000 keys in order, once."""
    parts = []
    for number in range(REQUESTS // 13_000):
        parts += [zipf(chance, 10_000, 8_000, 0.9), np.arange(3_000) + 100_000 + 3_000 * number]
    return np.concatenate(parts)


def looping(chance: np.random.Generator) -> Keys:
    """Half of the requests go round and round."""
    around = np.arange(REQUESTS) % 8_000 + 100_000
    return np.where(chance.random(REQUESTS) < 0.5, zipf(chance, REQUESTS, 10_000, 0.9), around)


def wonders(chance: np.random.Generator) -> Keys:
    """Two of five requests are for a key that is never asked for again."""
    new = np.arange(REQUESTS) + 100_000
    return np.where(chance.random(REQUESTS) < 0.4, new, zipf(chance, REQUESTS, 10_000, 0.95))


def twice(chance: np.random.Generator) -> Keys:
    """Each key is asked for again within 50 requests, and then hardly any more."""
    first = zipf(chance, REQUESTS // 2, 40_000, 0.6)
    when = np.arange(len(first))
    order = np.argsort(np.concatenate([when, when + chance.uniform(1, 25, len(first))]), kind="stable")
    return np.concatenate([first, first])[order]


def news(chance: np.random.Generator) -> Keys:
    """The younger a key, the more often it is asked for."""
    age = chance.exponential(400, REQUESTS).astype(np.int64)
    return np.arange(REQUESTS) // 8 - age


MADE: dict[str, Callable[[np.random.Generator], Keys]] = {
    make.__name__: make for make in (popular, flat, drifting, shifting, scanned, looping, wonders, twice, news)
}


def made(name: str) -> list[int]:
    found: list[int] = MADE[name](np.random.default_rng(5)).tolist()
    return found
