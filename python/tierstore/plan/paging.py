"""Cursors: where a page ended, in a text that only the same query takes back.

A cursor is base64url of a JSON array `[format, query, position]`: `query` is the first half of the SHA-256 of the query's canonical
JSON, so that a cursor of another query is refused instead of answering a page of neither.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import orjson

from tierstore.answers import Answer, generic_answer
from tierstore.errors import InvalidKeyError, ValidationError, raise_alone
from tierstore.plan.arguments import shown
from tierstore.plan.values import MAX_NAME_CHARACTERS

T_co = TypeVar("T_co", covariant=True)
Row = TypeVar("Row")
T = TypeVar("T")

FORMAT = 1
MAX_LIMIT = 1_000
MAX_WARMED = 1_000_000
"""What one call of `warm` loads at most."""
MAX_CURSOR_CHARACTERS = 65_536
MAX_COUNT = 2**31 - 1
HEX_DIGITS = frozenset("0123456789abcdef")
_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
Part = Callable[[object], bool]
"""Whether a value can stand in this place of a position. A cursor is the caller's text: anybody can make one."""


class _Page(NamedTuple, Generic[T_co]):
    items: tuple[T_co, ...]
    next: str | None


@generic_answer
class Page(Answer, _Page[T_co]):
    """Some items of an answer, in order. `next` is the cursor of the page after it; None when this is the last."""

    __slots__ = ()


def check_limit(limit: object, *, most: int = MAX_LIMIT) -> int:
    """`limit` if an answer may have that many items: 1 to `most`."""
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= most:
        raise ValidationError(f"limit must be a whole number from 1 to {most}, got {shown(limit)}", place="limit")
    return limit


def write_cursor(query: object, position: list[Any]) -> str:
    """The cursor behind `position`, bound to `query` (any JSON value)."""
    return base64.urlsafe_b64encode(orjson.dumps([FORMAT, _bound(query), position])).decode().rstrip("=")


def read_cursor(query: object, cursor: str | None, *positions: Sequence[Part]) -> list[Any] | None:
    """The position a cursor names, which has the parts of one of `positions`; None for None.

    InvalidKeyError if it is no cursor of this format, ValidationError if it belongs to another query.
    """
    if cursor is None:
        return None
    version, bound, position = _parts(cursor)
    if version != FORMAT:
        raise InvalidKeyError(
            f"after must be a cursor of format {FORMAT}, got format {shown(version)}; start again without after",
            place="after",
        )
    if bound != _bound(query):
        raise ValidationError(
            "after must be a cursor of this query, got one of another query; pass the same arguments as for the page before",
            place="after",
        )
    if not any(_fits(position, parts) for parts in positions):
        raise _malformed()
    return position


def is_count(value: object) -> bool:
    """A number from 0 on that both engines hold."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_COUNT


def is_name(value: object) -> bool:
    """A text that a name may be, or the empty one that stands before all."""
    return isinstance(value, str) and len(value) <= MAX_NAME_CHARACTERS and "\0" not in value


def is_hex(value: object) -> bool:
    """Bytes in hexadecimal digits."""
    return isinstance(value, str) and len(value) % 2 == 0 and set(value) <= HEX_DIGITS


def is_score(value: object) -> bool:
    """A number from 0 to 1."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1


def is_uuid(value: object) -> bool:
    """An id as the library writes it."""
    return isinstance(value, str) and _UUID.fullmatch(value) is not None


def _fits(position: list[Any], parts: Sequence[Part]) -> bool:
    return len(position) == len(parts) and all(part(value) for part, value in zip(parts, position, strict=True))


def page_of(
    rows: Sequence[Row], limit: int, query: object, position: Callable[[Row], list[Any]], item: Callable[[Row], T]
) -> Page[T]:
    """A page of the items of `rows`, which are one more than `limit` where another page follows. `position`: where a row stands."""
    kept = rows[:limit]
    more = len(rows) > limit
    return Page(tuple(map(item, kept)), write_cursor(query, position(kept[-1])) if more else None)


def _parts(cursor: object) -> tuple[Any, Any, list[Any]]:
    if not isinstance(cursor, str) or len(cursor) > MAX_CURSOR_CHARACTERS:
        raise _malformed()
    try:
        parts = orjson.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        raise_alone(_malformed())
    if not isinstance(parts, list) or len(parts) != 3 or not isinstance(parts[2], list):
        raise _malformed()
    return parts[0], parts[1], parts[2]


def _malformed() -> InvalidKeyError:
    return InvalidKeyError("after= is not a cursor; pass `next` of the page before", place="after")


def _bound(query: object) -> str:
    return hashlib.sha256(orjson.dumps(query, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]
