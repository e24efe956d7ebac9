"""Search: candidates from the database, hits and their order from the core. `plan/search.py` says why both engines answer the same."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import orjson

from tierstore import _native
from tierstore.backends import Row
from tierstore.errors import InvalidKeyError
from tierstore.plan.lifecycle import check_states
from tierstore.plan.paging import Page, check_limit, read_cursor, write_cursor
from tierstore.plan.schemas import check_metadata, check_subject, check_tags, metadata_text
from tierstore.plan.search import (
    BLOCKS,
    FIRST,
    MANY_PROPOSED,
    WALKED_ROWS,
    Key,
    Walk,
    Words,
    contains,
    fts_contains,
    fts_similar,
    graded,
    prefix_ranges,
    terms,
    words_of,
)
from tierstore.stores.schemas.model import SearchHit
from tierstore.stores.schemas.reads import Fetch, infos
from tierstore.stores.schemas.validation import check_type

SPARE_CANDIDATES = 64
"""Read beyond what a block lacks where candidates are nearly always hits, so that a few that are none cost no second query."""


class Start(NamedTuple):
    """Where a block begins: in which tier, behind which key."""

    tier: int
    after: Key


class Hit(NamedTuple):
    id: str
    key: Key
    score: float

    def rank(self) -> tuple[float, tuple[str, int, int, int, bytes], str]:
        """Ascending where the page is: the best score first, then the order of all, then the id."""
        return -self.score, self.key.rank(), self.id


@dataclass(frozen=True, slots=True)
class Query:
    """What is searched for; `params` are those of every query of `schemas_search`."""

    words: Words | None
    params: dict[str, Any]
    metadata: Mapping[str, Any] | None
    dialect: Literal["sqlite", "postgres"]

    def binding(self) -> list[Any]:
        """What a cursor of this search is bound to."""
        names = ("subject", "states", "schema_type", "tags", "metadata")
        return ["search", None if self.words is None else self.words.text, *(self.params[name] for name in names)]

    def tiers(self) -> tuple[str, ...]:
        return ("all",) if self.words is None else self.words.tiers()

    def source(self, tier: str, ranked: Sequence[str] = ()) -> tuple[str, dict[str, Any]]:
        """The query that finds a tier's candidates, and its parameters. `ranked`: the words, the rarest first."""
        if self.words is None:
            return "schemas_search.all", self.params
        params = self.params | terms(self.words, ranked)
        if not self.words.long:
            return "schemas_search.prefix", params | prefix_ranges(self.words)
        if self.dialect == "postgres":
            return f"schemas_search.{tier}", params
        fts = fts_similar(params["lead"]) if tier == "similar" else fts_contains(self.words.long)
        return f"schemas_search.{tier}" + ("_scan" if fts is None else ""), params | {"fts": fts}


def query_of(
    dialect: Literal["sqlite", "postgres"],
    text: object,
    *,
    subject: str | None,
    tags: Sequence[str],
    states: Collection[str] | None,
    schema_type: str | None,
    metadata: Mapping[str, Any] | None,
) -> Query:
    """The arguments of a search, checked."""
    wanted = None if metadata is None else check_metadata(metadata)
    checked_states = check_states(states)
    params: dict[str, Any] = {
        "subject": None if subject is None else check_subject(subject),
        "states": None if checked_states is None else list(checked_states),
        "schema_type": None if schema_type is None else check_type(schema_type),
        "tags": check_tags(tags) or None,
        "metadata": metadata_text(wanted) if wanted else None,
    }
    return Query(words_of(text), params, wanted or None, dialect)


async def search(fetch: Fetch, query: Query, *, limit: int, after: str | None) -> Page[SearchHit]:
    """One page. ValidationError for another query's cursor."""
    check_limit(limit)
    start, behind = _position(query, after)
    hits: list[Hit] = []
    following: Start | None = start
    more = False
    while following is not None and not more:
        start = following
        block, following = await _block(fetch, query, start)
        ranked = [hit for hit in sorted(block, key=Hit.rank) if behind is None or hit.rank() > behind]
        behind = None
        more = len(hits) + len(ranked) > limit
        hits += ranked[: limit - len(hits)]
        if len(hits) == limit and following is not None and not more:
            return await _page(fetch, query, hits, _cursor(query, following, None))
    return await _page(fetch, query, hits, _cursor(query, start, hits[-1]) if more else None)


async def _block(fetch: Fetch, query: Query, start: Start) -> tuple[list[Hit], Start | None]:
    """The hits of one block, and where the next one begins (None: nowhere)."""
    tier, after = start
    tiers = query.tiers()
    if tier >= len(tiers):
        return [], None
    name = tiers[tier]
    hits: list[Hit] = []
    walk = Walk(query.words, query.dialect) if name == "similar" and query.words is not None else None
    ranked: Sequence[str] = ()
    while (wanted := BLOCKS[name] - len(hits)) > 0:
        source, params, limit = _next(query, name, walk, ranked, wanted)
        if (
            source == "schemas_search.subject"
            and query.dialect == "sqlite"
            and await _is_frequent(fetch, params["fts"])
        ):
            source = "schemas_search.subject_scan"
        rows = await fetch(source, params | _behind(after) | {"limit": limit})
        found, last = _hits(query, name, rows, wanted)
        hits += found
        if len(rows) < limit and last == len(rows) - 1:
            return hits, Start(tier + 1, FIRST) if tier + 1 < len(tiers) else None
        after = _key(rows[last])
        if walk is not None and not ranked:
            walk.read([row[7] for row in rows], len(found))
            ranked = walk.rare_words(wanted - len(found))
    return hits, Start(tier, after)


async def _is_frequent(fetch: Fetch, fts: str) -> bool:
    """Whether SQLite's index proposes so many rows that all subjects are read sooner."""
    proposed = await fetch("schemas_search.proposed", {"fts": fts, "most": MANY_PROPOSED})
    return bool(proposed[0][0] >= MANY_PROPOSED)


def _next(
    query: Query, tier: str, walk: Walk | None, ranked: Sequence[str], wanted: int
) -> tuple[str, dict[str, Any], int]:
    """The next query of a block, its parameters and how many rows to ask for. `ranked`: the words, once the walk is left for the index."""
    if walk is not None and not ranked:
        return "schemas_search.walk", query.params, walk.limit()
    source, params = query.source(tier, ranked)
    exact = tier != "similar" or query.dialect == "postgres"
    return source, params, wanted + SPARE_CANDIDATES if exact else WALKED_ROWS


def _hits(query: Query, tier: str, rows: Sequence[Row], wanted: int) -> tuple[list[Hit], int]:
    """The candidates that are hits of this tier, at most `wanted`, and the number of the last candidate that was looked at."""
    hits: list[Hit] = []
    for number, (row, score) in enumerate(zip(rows, _scores(query, rows), strict=True)):
        if score is not None and _belongs(query, tier, row):
            hits.append(Hit(row[0], _key(row), score if query.words is None else graded(tier, score)))
            if len(hits) == wanted:
                return hits, number
    return hits, len(rows) - 1


def _key(row: Row) -> Key:
    return Key(row[1], row[2], row[3], row[4], bytes(row[5]))


def _scores(query: Query, rows: Sequence[Row]) -> Sequence[float | None]:
    if query.words is None:
        return [0.0] * len(rows)
    return _native.score_many(query.words.text, [(row[1], row[6], row[7]) for row in rows])


def _belongs(query: Query, tier: str, row: Row) -> bool:
    """In this tier, and with the metadata that SQLite leaves to its caller."""
    if row[8] is not None and query.metadata is not None and not contains(orjson.loads(row[8]), query.metadata):
        return False
    return query.words is None or query.words.tier(row[1], row[6], row[7]) == tier


def _behind(key: Key) -> dict[str, Any]:
    names = ("after", "major", "minor", "patch", "prerelease_key")
    return dict(zip(names, key, strict=True))


def _cursor(query: Query, start: Start, last: Hit | None) -> str:
    position: list[Any] = [start.tier, *_written(start.after)]
    if last is not None:
        position += [last.score, last.id, *_written(last.key)]
    return write_cursor(query.binding(), position)


def _position(query: Query, cursor: str | None) -> tuple[Start, tuple[Any, ...] | None]:
    position = read_cursor(query.binding(), cursor)
    if position is None:
        return Start(0, FIRST), None
    try:
        start = Start(position[0], _read(position[1:6]))
        if len(position) == 6:
            return start, None
        return start, Hit(position[7], _read(position[8:13]), position[6]).rank()
    except (IndexError, TypeError, ValueError) as error:
        raise InvalidKeyError("after= is no cursor; pass `next` of the page before", place="after") from error


def _written(key: Key) -> list[Any]:
    return [*key[:4], key.prerelease_key.hex()]


def _read(parts: Sequence[Any]) -> Key:
    return Key(parts[0], parts[1], parts[2], parts[3], bytes.fromhex(parts[4]))


async def _page(fetch: Fetch, query: Query, hits: Sequence[Hit], cursor: str | None) -> Page[SearchHit]:
    """The hits with their schemas; one that was deleted meanwhile is left out."""
    found = await infos(fetch, [hit.id for hit in hits])
    items = tuple(SearchHit(found[hit.id], hit.score) for hit in hits if hit.id in found)
    return Page(items, cursor)
