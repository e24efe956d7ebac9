"""What both engines do with the rows of a fenced query."""

from __future__ import annotations

from collections.abc import Mapping

from tierstore.backends import Fenced, Row
from tierstore.sql import Query


def fenced(name: str, query: Query, rows: list[Row]) -> Fenced:
    """What the read saw, and the rows without it. ValueError for a query whose head does not say `-- fenced`."""
    if not query.fenced:
        raise ValueError(f"{name} is not fenced; expected a query whose head says `-- fenced`")
    as_of, ceiling = rows[0][:2]
    return Fenced(past_fence(rows), as_of, ceiling)


def past_fence(rows: list[Row]) -> list[Row]:
    """Cut `as_of` and `ceiling` off every row; a row with nothing else in it is the left join's answer for "no such row"."""
    return [row[2:] for row in rows if any(value is not None for value in row[2:])]


def alone(queries: Mapping[str, Query], name: str) -> Query:
    """A query that is sent by itself. ValueError for one that says `-- first` or `-- each`, which only a transaction does."""
    query = queries[name]
    if query.first is not None or query.each:
        raise ValueError(f"{name} is made of several statements; expected fetch or execute of a transaction")
    return query
