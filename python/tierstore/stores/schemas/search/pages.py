"""Search: candidates from the index in memory or from the database, hits and their order from the core.

`plan/search.py` says why all of them answer the same.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tierstore.calls.scope import Fetch
from tierstore.plan.paging import (
    Page,
    check_limit,
    is_count,
    is_hex,
    is_name,
    is_score,
    is_uuid,
    read_cursor,
    write_cursor,
)
from tierstore.plan.search import BLOCKS, FIRST, Key, graded
from tierstore.stores.schemas.model import SearchHit
from tierstore.stores.schemas.reads import infos
from tierstore.stores.schemas.search.candidates import Candidates, Indexed, Match, Proposed, Stored, Walked
from tierstore.stores.schemas.search.query import Query
from tierstore.stores.schemas.search.text_index import Proposer


class Start(NamedTuple):
    """Where a block begins: in which grade, behind which key."""

    grade: int
    after: Key


class Hit(NamedTuple):
    id: str
    key: Key
    score: float

    def rank(self) -> tuple[float, tuple[str, int, int, int, bytes], str]:
        """Ascending where the page is: the best score first, then the order of all, then the id."""
        return -self.score, self.key.rank(), self.id


async def search(
    fetch: Fetch, query: Query, *, limit: int, after: str | None, showing: Fetch, index: Proposer | None = None
) -> Page[SearchHit]:
    """One page. `showing`: fetches what is answered; `index`: of what `fetch` sees, if there is one.

    ValidationError for another query's cursor.
    """
    check_limit(limit)
    start, behind = _position(query, after)
    hits: list[Hit] = []
    following: Start | None = start
    ahead: dict[str, Proposed] = {}
    more = False
    while following is not None and not more:
        start = following
        found, following = await _block(fetch, query, start, index, ahead, limit - len(hits))
        ranked = _ranked(found, query.grades()[start.grade], query) if found else []
        if behind is not None:
            ranked = [make for make in ranked if make().rank() > behind]
        behind = None
        more = len(hits) + len(ranked) > limit
        hits += [make() for make in ranked[: limit - len(hits)]]
        if len(hits) == limit and following is not None and not more:
            return await _page(showing, hits, _cursor(query, following, None))
    return await _page(showing, hits, _cursor(query, start, hits[-1]) if more else None)


def _ranked(found: Sequence[Match], grade: str, query: Query) -> list[Callable[[], Hit]]:
    """The best first; they came in the order of keys, and keep it where the score is the same. Made only as far as they are looked at."""

    def hit(each: Match) -> Hit:
        score = each.score if query.words is None else graded(grade, each.score)
        return Hit(each.rows.id(each.number), each.rows.key(each.number), score)

    return [functools.partial(hit, each) for each in sorted(found, key=lambda each: -each.score)]


async def _block(
    fetch: Fetch,
    query: Query,
    start: Start,
    index: Proposer | None,
    ahead: dict[str, Proposed],
    lacking: int,
) -> tuple[list[Match], Start | None]:
    """The hits of one block in the order of keys, and where the next one begins (None: nowhere). `lacking`: how many the page lacks."""
    number, after = start
    grades = query.grades()
    if number >= len(grades):
        return [], None
    grade, words = grades[number], query.words
    size = BLOCKS[grade] or lacking
    candidates: Candidates = Stored(fetch, query, grade)
    if index is not None and words is not None and (grade == "similar" or not query.is_filtered()):
        # The database finds few rows by their tags or metadata; of those that are only similar it has to read most.
        candidates = Indexed(fetch, query, words, grade, index, ahead, lacking)
    elif grade == "similar" and words is not None:
        candidates = Walked(fetch, query, words)
    found: list[Match] = []
    while len(found) < size:
        batch = await candidates.read(after, size - len(found))
        found += batch.found
        if batch.behind is None:
            return found, Start(number + 1, FIRST) if number + 1 < len(grades) else None
        after = batch.behind
    return found, Start(number, after)


def _cursor(query: Query, start: Start, last: Hit | None) -> str:
    position: list[Any] = [start.grade, *_written(start.after)]
    if last is not None:
        position += [last.score, last.id, *_written(last.key)]
    return write_cursor(query.binding(), position)


def _position(query: Query, cursor: str | None) -> tuple[Start, tuple[Any, ...] | None]:
    begin = (is_count, *_KEY)
    position = read_cursor(query.binding(), cursor, begin, (*begin, is_score, is_uuid, *_KEY))
    if position is None:
        return Start(0, FIRST), None
    start = Start(position[0], _read(position[1:6]))
    if len(position) == len(begin):
        return start, None
    return start, Hit(position[7], _read(position[8:13]), position[6]).rank()


_KEY = (is_name, is_count, is_count, is_count, is_hex)


def _written(key: Key) -> list[Any]:
    return [*key[:4], key.prerelease_key.hex()]


def _read(parts: Sequence[Any]) -> Key:
    return Key(parts[0], parts[1], parts[2], parts[3], bytes.fromhex(parts[4]))


async def _page(showing: Fetch, hits: Sequence[Hit], cursor: str | None) -> Page[SearchHit]:
    """The hits with their schemas; one that was deleted meanwhile is left out."""
    found = await infos(showing, [hit.id for hit in hits])
    items = tuple(SearchHit(found[hit.id], hit.score) for hit in hits if hit.id in found)
    return Page(items, cursor)
