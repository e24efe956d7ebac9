"""What both engines do with the rows of a fenced query."""

from __future__ import annotations

from tierstore.backends import Fenced, Row


def fenced(rows: list[Row]) -> Fenced:
    """Cut `as_of` and `ceiling` off every row; a row with nothing else in it is the left join's answer for "no such row"."""
    as_of, ceiling = rows[0][:2]
    found = [row[2:] for row in rows if any(value is not None for value in row[2:])]
    return Fenced(found, as_of, ceiling)
