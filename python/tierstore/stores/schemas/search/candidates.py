"""Candidates of one grade of a search in the order of keys, by the index in memory or by the database, and which of them are hits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from tierstore._native import Proposal, rank_many
from tierstore.backends import Row
from tierstore.calls.scope import Fetch
from tierstore.plan.search import (
    BLOCKS,
    FIRST,
    GRADES,
    MANY_PROPOSED,
    WALKED_ROWS,
    Key,
    Walk,
    Words,
)
from tierstore.stores.schemas.search.columns import ID, METADATA, SEARCH_TEXT, key_of, texts_of
from tierstore.stores.schemas.search.query import Query
from tierstore.stores.schemas.search.text_index import Proposer

SPARE_CANDIDATES = 64
"""Read beyond what a block lacks where candidates are nearly always hits, so that a few that are none cost no second query."""
SPARE_SIMILAR = 16
MOST_CANDIDATES = 4_096
"""Of the index: twice as many are asked for each time, where the filters leave few."""


class Rows(Protocol):
    """Where a hit's id and key are, by its number."""

    def id(self, number: int) -> str: ...

    def key(self, number: int) -> Key: ...


class Match(NamedTuple):
    """A hit of the grade."""

    score: float
    rows: Rows
    number: int


class Batch(NamedTuple):
    """Hits in the order of keys, and behind which key to go on; None where the grade ends."""

    found: list[Match]
    behind: Key | None


class Candidates(Protocol):
    """The candidates of one grade."""

    async def read(self, after: Key, wanted: int) -> Batch:
        """Some of those behind a key, with at most `wanted` hits."""
        ...


class Indexed:
    """Proposed by the index of this process; the database says which are still there and pass the filters.

    `ahead`: the rows of grades that were asked for together with those of an earlier one, which could not fill the page.
    `lacking`: what the page lacks.
    """

    def __init__(
        self,
        fetch: Fetch,
        query: Query,
        words: Words,
        grade: str,
        index: Proposer,
        ahead: dict[str, Proposed],
        lacking: int,
    ) -> None:
        self._fetch = fetch
        self._query = query
        self._words = words
        self._grade = grade
        self._index = index
        self._ahead = ahead
        self._lacking = lacking
        self._most = 0

    async def read(self, after: Key, wanted: int) -> Batch:
        """As `Candidates` says."""
        proposed = self._ahead.pop(self._grade, None) if after == FIRST else None
        if proposed is None:
            self._most = min(MOST_CANDIDATES, max(wanted + _spare(self._grade), 2 * self._most))
            proposed = await self._ask(after)
        return proposed.batch(self._query, self._words.text, GRADES.index(self._grade), wanted)

    async def _ask(self, after: Key) -> Proposed:
        """The grade's rows behind a key, and where they are too few for the page, those of the next grades by the way."""
        text, grades = self._words.text, self._query.grades()
        rest = iter(grades[grades.index(self._grade) + 1 :])
        first = Proposed(await self._index.propose(text, self._grade, after, self._most), self._most)
        asked, count, last = [first], len(first.ids), self._grade
        while count < self._lacking and not asked[-1].is_cut and (grade := next(rest, None)) is not None:
            most = BLOCKS[grade] + _spare(grade)
            asked.append(Proposed(await self._index.propose(text, grade, FIRST, most), most))
            self._ahead[grade], count, last = asked[-1], count + len(asked[-1].ids), grade
        if count:
            narrow = last == "subject" and self._words.text.isascii()
            ids = [identifier for each in asked for identifier in each.ids]
            rows = await self._fetch("schemas_search.among", self._query.params | {"ids": ids, "narrow": narrow})
            for number, description, search_text, metadata in rows:
                for each in asked:
                    if number < len(each.ids):
                        each.rows.append((number, description, search_text, metadata))
                        break
                    number -= len(each.ids)
        return first


def _spare(grade: str) -> int:
    return SPARE_SIMILAR if grade == "similar" else SPARE_CANDIDATES


class Proposed:
    """What the index proposed, at most `most`, and what the database said of it: number, description, search text, metadata."""

    def __init__(self, proposal: Proposal, most: int) -> None:
        self.ids = proposal.ids
        self.is_cut = len(self.ids) == most
        self.rows: list[tuple[int, str, str, str | None]] = []
        self._proposal = proposal

    def id(self, number: int) -> str:
        """As `Rows` says."""
        return self.ids[number]

    def key(self, number: int) -> Key:
        """As `Rows` says."""
        return Key(*self._proposal.key(number))

    def batch(self, query: Query, text: str, grade: int, wanted: int) -> Batch:
        """The hits of the grade, at most `wanted`."""
        found: list[Match] = []
        ranks = self._proposal.rank(text, [row[:3] for row in self.rows])
        for (number, _, _, metadata), rank in zip(self.rows, ranks, strict=True):
            if rank is not None and rank[0] == grade and query.holds(metadata):
                found.append(Match(rank[1], self, number))
                if len(found) == wanted and number < len(self.ids) - 1:
                    return Batch(found, self.key(number))
        return Batch(found, self.key(len(self.ids) - 1) if self.is_cut else None)


class Stored:
    """Rows that the database finds by a grade's own query."""

    def __init__(self, fetch: Fetch, query: Query, grade: str) -> None:
        self._fetch = fetch
        self._query = query
        self._grade = grade

    async def read(self, after: Key, wanted: int) -> Batch:
        """As `Candidates` says."""
        source, params = self._query.statement(self._grade)
        if source == "schemas_search.subject" and self._query.dialect == "sqlite" and await self._is_frequent(params):
            source = "schemas_search.subject_scan"
        are_hits = self._query.words is None and self._query.metadata is None
        limit = wanted + (1 if are_hits else SPARE_CANDIDATES)
        rows = await self._fetch(source, params | _behind(after) | {"limit": limit})
        return _batch(self._query, self._grade, rows, wanted, limit)

    async def _is_frequent(self, params: Mapping[str, Any]) -> bool:
        """Whether SQLite's index proposes so many rows that all subjects are read sooner."""
        proposed = await self._fetch("schemas_search.proposed", {"fts": params["fts"], "most": MANY_PROPOSED})
        return bool(proposed[0][0] >= MANY_PROPOSED)


class Walked:
    """Rows with something similar, where no index in memory is at hand: all of them in order, until the database's index is expected to be
    quicker."""

    def __init__(self, fetch: Fetch, query: Query, words: Words) -> None:
        self._fetch = fetch
        self._query = query
        self._walk = Walk(words, query.dialect)
        self._ranked: Sequence[str] = ()

    async def read(self, after: Key, wanted: int) -> Batch:
        """As `Candidates` says."""
        if self._ranked:
            source, params = self._query.statement("similar", self._ranked)
            limit = wanted + SPARE_CANDIDATES if self._query.dialect == "postgres" else WALKED_ROWS
        else:
            source, params, limit = "schemas_search.walk", self._query.params, self._walk.limit()
        rows = await self._fetch(source, params | _behind(after) | {"limit": limit})
        batch = _batch(self._query, "similar", rows, wanted, limit)
        if not self._ranked:
            self._walk.read([row[SEARCH_TEXT] for row in rows], len(batch.found))
            self._ranked = self._walk.rare_words(wanted - len(batch.found))
        return batch


class _Stored(NamedTuple):
    rows: Sequence[Row]

    def id(self, number: int) -> str:
        return str(self.rows[number][ID])

    def key(self, number: int) -> Key:
        return key_of(self.rows[number])


def _batch(query: Query, grade: str, rows: Sequence[Row], wanted: int, limit: int) -> Batch:
    """The hits among rows of which at most `limit` were asked for."""
    stored, found = _Stored(rows), []
    for number, (row, score) in enumerate(zip(rows, _scores(query, grade, rows), strict=True)):
        if score is not None and query.holds(row[METADATA]):
            found.append(Match(score, stored, number))
            if len(found) == wanted and number < len(rows) - 1:
                return Batch(found, stored.key(number))
    return Batch(found, stored.key(len(rows) - 1) if len(rows) == limit else None)


def _scores(query: Query, grade: str, rows: Sequence[Row]) -> Sequence[float | None]:
    """Of those that are hits of the grade."""
    if query.words is None:
        return [0.0] * len(rows)
    number = GRADES.index(grade)
    ranks = rank_many(query.words.text, [texts_of(row) for row in rows])
    return [rank[1] if rank is not None and rank[0] == number else None for rank in ranks]


def _behind(key: Key) -> dict[str, Any]:
    names = ("after", "major", "minor", "patch", "prerelease_key")
    return dict(zip(names, key, strict=True))
