"""T.6, S1-49: searches among 100,000 schemas, by the kind of query and by engine.

`python -m benches search` prints the table; `--sqlite` or `--postgres` takes one engine, `--small` a tenth of the schemas.

The schemas are documents of 24 properties whose names are drawn from 4,000 words, the frequent ones often (Zipf's law). Each kind of
query is asked by a lone caller for the latencies, and by CALLERS at once for the rate. The last line is all kinds in turn, words that stand
nowhere among them, by CALLERS at once: rate and p95 are what T.6 and S1-49 are about. Before it all, searches are made until the process
has read the texts in; how long that takes is said above the table.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence

import tierstore
from tests.servers.fleet import Fleet
from tierstore import Config, PostgresConfig

SCHEMAS = 10_000 if "--small" in sys.argv else 100_000
BATCH = 500
LATENCIES = 60
CALLERS = 10
SECONDS = 2.0
MIX_SECONDS = 10.0
LIMIT = 20
VOCABULARY = 4_000
STARTS = [*"bcdfghklmnprstv", "br", "cl", "dr", "fl", "gr", "pl", "pr", "sh", "sp", "st", "str", "th", "tr"]
VOWELS = [*"aeiou", "ai", "ea", "io", "ou"]
ENDS = ["", "", "", "n", "r", "s", "t", "l", "nd", "ck", "st", "ment", "tion", "er"]
TAGS = [f"tag{number}" for number in range(200)]


def vocabulary() -> list[str]:
    """Words of two and three syllables, the frequent first. The same every time."""
    dice = random.Random(1)
    found: dict[str, None] = {}
    while len(found) < VOCABULARY:
        syllables = [dice.choice(STARTS) + dice.choice(VOWELS) for _ in range(dice.choice((2, 2, 3)))]
        found["".join(syllables) + dice.choice(ENDS)] = None
    return list(found)


WORDS = vocabulary()
SHARES = list(itertools.accumulate(1 / (rank + 10) for rank in range(VOCABULARY)))


def drawn(dice: random.Random, count: int) -> list[str]:
    return dice.choices(WORDS, cum_weights=SHARES, k=count)


def document(number: int) -> dict[str, object]:
    dice = random.Random(number)
    properties = [f'"{"_".join(drawn(dice, 2))}": {{"type": "string"}}' for _ in range(24)]
    return {
        "subject": ".".join([f"team{number % 50}", *drawn(dice, 2), str(number)]),
        "version": "1.0.0",
        "content": f'{{"title": "{drawn(dice, 1)[0]}", "properties": {{{", ".join(properties)}}}}}'.encode(),
        "schema_type": "jsonschema",
        "description": " ".join(drawn(dice, 6)),
        "tags": dice.sample(TAGS, k=2),
    }


def misspelt(dice: random.Random, word: str) -> str:
    """One letter left out, doubled or changed for another."""
    at = dice.randrange(1, len(word))
    letter = dice.choice("abcdefghijklmnopqrstuvwxyz")
    return word[:at] + dice.choice(["", word[at] * 2, letter]) + word[at + 1 :]


def query(kind: str, dice: random.Random) -> dict[str, object]:
    first, second = drawn(dice, 2)
    long = dice.choice(WORDS[:2000])
    match kind:
        case "word":
            return {"text": first}
        case "any word":
            return {"text": dice.choice(WORDS)}
        case "part":
            return {"text": long[1:5]}
        case "short prefix":
            return {"text": dice.choice(["te", "t"])}
        case "tag":
            return {"tags": [dice.choice(TAGS)]}
        case "typo":
            return {"text": misspelt(dice, first)}
        case "typo of any word":
            return {"text": misspelt(dice, dice.choice([word for word in WORDS if len(word) > 5]))}
        case "absent word":
            return {"text": "".join(dice.choices("abcdefghijklmnopqrstuvwxyz", k=dice.randint(5, 12)))}
        case "two words":
            return {"text": f"{first} {second}"}
        case "two random words":
            return {"text": " ".join(dice.sample(WORDS, k=2))}
        case _:
            return {"text": f"{first} {misspelt(dice, second)}"}


KINDS = (
    *("word", "any word", "part", "short prefix", "tag", "typo", "typo of any word", "two words", "two random words"),
    *("word and typo", "absent word"),
)


async def fill(store: tierstore.Store) -> float:
    """Register all; schemas a second."""
    started = time.perf_counter()
    for start in range(0, SCHEMAS, BATCH):
        await store.schemas.register_many([document(number) for number in range(start, start + BATCH)])
    return SCHEMAS / (time.perf_counter() - started)


async def latencies(store: tierstore.Store, kind: str) -> list[float]:
    """Milliseconds, in order."""
    dice, found = random.Random(kind), []
    for _ in range(LATENCIES):
        asked = query(kind, dice)
        started = time.perf_counter()
        await store.schemas.search(asked.pop("text", None), limit=LIMIT, timeout=60, **asked)
        found.append((time.perf_counter() - started) * 1e3)
    return sorted(found)


async def rate(store: tierstore.Store, kinds: Sequence[str], seconds: float) -> tuple[float, list[float]]:
    """Searches a second of CALLERS at once, the kinds in turn, and the milliseconds of each search in order."""
    dice, end, found = random.Random(f"{kinds} rate"), time.perf_counter() + seconds, []
    turns = itertools.cycle(kinds)

    async def caller() -> None:
        while (started := time.perf_counter()) < end:
            asked = query(next(turns), dice)
            await store.schemas.search(asked.pop("text", None), limit=LIMIT, timeout=60, **asked)
            found.append((time.perf_counter() - started) * 1e3)

    started = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return len(found) / (time.perf_counter() - started), sorted(found)


async def read_in(store: tierstore.Store) -> float:
    """Search until the texts are in memory; seconds."""
    started = time.perf_counter()
    for number in range(SCHEMAS // 4_096 + 2):
        await store.schemas.search(WORDS[number], limit=1, timeout=60)
    return time.perf_counter() - started


def p95(milliseconds: Sequence[float]) -> float:
    return statistics.quantiles(milliseconds, n=20)[18]


async def run(engine: str, config: Config) -> None:
    async with tierstore.open(config) as store:
        print(
            f"\n{engine}: {await fill(store):,.0f} schemas registered a second; read in in {await read_in(store):.1f} s\n"
        )
        print("| query | p50 ms | p95 ms | rate/s |\n|---|---:|---:|---:|")
        for kind in KINDS:
            found = await latencies(store, kind)
            each, _ = await rate(store, [kind], SECONDS)
            print(f"| {kind} | {statistics.median(found):.1f} | {p95(found):.1f} | {each:,.0f} |", flush=True)
        mixed, found = await rate(store, KINDS, MIX_SECONDS)
        print(
            f"| all of them in turn, {CALLERS} callers | {statistics.median(found):.1f} | {p95(found):.1f} | {mixed:,.0f} |"
        )


def main() -> None:
    engines = [name for name in ("sqlite", "postgres") if f"--{name}" in sys.argv] or ["sqlite", "postgres"]
    if "sqlite" in engines:
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(run("sqlite", Config(path=folder)))
    if "postgres" in engines:
        fleet = Fleet()
        try:
            asyncio.run(run("postgres", Config(postgres=PostgresConfig(fleet.postgres.create_database()))))
        finally:
            fleet.close()


if __name__ == "__main__":
    main()
