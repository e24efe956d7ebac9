"""The index in memory by itself: its size, its time by the kind of query, and what a dictionary without places would propose instead.

`python -m benches search_index`; `--small` takes a tenth of the schemas. The time is the thread's own. The shares are of SHARED rows: those
with a token that is similar by itself; with two tokens whose better ends together could be ("two"); with tokens that together have as many
of the word's trigrams as an extent over three of them needs ("three").
"""

from __future__ import annotations

import collections
import math
import random
import re
import statistics
import sys
import time

from benches.search import KINDS, document, query
from tierstore import _native
from tierstore.plan.search import FIRST

ROWS = 10_000 if "--small" in sys.argv else 100_000
SHARED = 10_000
QUERIES = 40
PAGE = 4_096
TEXTS = [kind for kind in KINDS if kind not in ("short prefix", "tag")]
Row = tuple[str, str, int, int, int, bytes, str, str]


def rows() -> list[Row]:
    made = []
    for number in range(ROWS):
        given = document(number)
        text = _native.search_text("jsonschema", given["content"], 4096)
        made.append((_native.uuid7(), given["subject"], 1, 0, 0, b"\xff", given["description"], text))
    return made


def texts(kind: str) -> list[str]:
    dice = random.Random(kind)
    return [query(kind, dice)["text"] for _ in range(QUERIES)]


def spent(call: object, *arguments: object) -> float:
    """Milliseconds of this thread."""
    started = time.thread_time()
    call(*arguments)
    return (time.thread_time() - started) * 1e3


def times(index: _native.SearchIndex) -> None:
    print("| query | subject ms | anywhere ms | similar ms | similar, the dearest |\n|---|---:|---:|---:|---:|")
    for kind in TEXTS:
        found = [
            [spent(index.propose, text, tier, FIRST, most) for text in texts(kind)]
            for tier, most in enumerate((320, 320, 80))
        ]
        medians = [statistics.median(each) for each in found]
        print(f"| {kind} | {medians[0]:.2f} | {medians[1]:.2f} | {medians[2]:.1f} | {max(found[2]):.1f} |", flush=True)


def trigrams(word: str) -> list[str]:
    padded = f"  {word} "
    return [padded[at : at + 3] for at in range(len(padded) - 2)]


def worth(places: list[str], sought: set[str]) -> int:
    """The best beginning: 10 for each distinct trigram that is sought, less 3 for each other."""
    seen, sum_, best = set(), 0, 0
    for trigram in places:
        if trigram not in seen:
            seen.add(trigram)
            sum_ += 10 if trigram in sought else -3
            best = max(best, sum_)
    return best


def shares(made: list[Row]) -> None:
    holders = collections.defaultdict(set)
    for number, row in enumerate(made):
        for token in re.findall("[a-z0-9]+", " ".join((row[1], row[6], row[7]))):
            holders[token].add(number)
    spelt = {token: trigrams(token) for token in holders}
    print("\n| query | one token | two | three |\n|---|---:|---:|---:|")
    for kind in ("any word", "typo", "typo of any word"):
        found = [proposed(text, holders, spelt) for text in texts(kind)[: QUERIES // 4]]
        cells = [
            f"{100 * min(part) / len(made):.1f} to {100 * max(part) / len(made):.1f} %"
            for part in zip(*found, strict=True)
        ]
        print(f"| {kind} | {' | '.join(cells)} |", flush=True)


def proposed(word: str, holders: dict[str, set[int]], spelt: dict[str, list[str]]) -> tuple[int, int, int]:
    """How many rows each condition leaves."""
    sought = set(trigrams(word))
    near = {token: sought.intersection(places) for token, places in spelt.items() if not sought.isdisjoint(places)}
    least = math.ceil(0.6 * len(sought) - 1e-9)
    ends = collections.defaultdict(set)
    starts = collections.defaultdict(set)
    for token in near:
        ends[worth(spelt[token][::-1], sought)] |= holders[token]
        starts[worth(spelt[token], sought)] |= holders[token]
    two = set()
    for end, with_end in ends.items():
        two |= with_end.intersection(
            *[set().union(*(held for start, held in starts.items() if start >= 6 * len(sought) - end))]
        )
    shared = collections.defaultdict(set)
    for token, has in near.items():
        for row in holders[token]:
            shared[row] |= has
    one = set().union(*(holders[token] for token, has in near.items() if len(has) >= least))
    enough = math.ceil(0.6 * (len(sought) + 3) - 1e-9)
    return len(one), len(two - one), sum(len(has) >= enough for has in shared.values())


def main() -> None:
    made, index = rows(), _native.SearchIndex()
    milliseconds = sum(spent(index.add, made[start : start + PAGE]) for start in range(0, ROWS, PAGE))
    print(f"{ROWS:,} rows: {index.bytes / ROWS:,.0f} bytes and {1e3 * milliseconds / ROWS:.1f} µs each\n")
    times(index)
    shares(made[:SHARED])


if __name__ == "__main__":
    main()
