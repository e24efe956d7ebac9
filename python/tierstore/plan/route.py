"""Where a read may be served from, by what its caller asked for (api.md, "Reading with a bound")."""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple, NewType

from tierstore.errors import ValidationError
from tierstore.plan.arguments import shown

Bounded = NewType("Bounded", str)
"""What `bounded` makes: a `read=` of any bound."""

Read = (
    Literal[
        "session",
        "latest",
        "any",
        "bounded:100ms",
        "bounded:200ms",
        "bounded:500ms",
        "bounded:1s",
        "bounded:2s",
        "bounded:5s",
        "bounded:10s",
        "bounded:30s",
        "bounded:1m",
        "bounded:5m",
        "bounded:15m",
        "bounded:1h",
    ]
    | Bounded
)
"""How fresh an answer must be.

"session": your own writes, and nothing older than what you saw. "latest": what the primary database holds now. "any": whatever is
cached. "bounded:2s": at most that far behind the database. Any whole or decimal number of ms, s, m or h is a bound; the usual ones are
spelled out here for type checkers, and `tierstore.bounded(seconds)` makes the others.
"""

_BOUND = re.compile(r"bounded:([0-9]{1,9}(?:\.[0-9]{1,6})?)(ms|s|m|h)")
_TOKEN = re.compile(r"[0-9]{1,19}|[0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8}")
"""A position: SQLite's number, or PostgreSQL's of its log."""
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class Route(NamedTuple):
    """`bound_s`: how far behind a cached value may be (None: the horizon of the tiers; -1: not cached at all).

    `primary`: the database's primary answers. `after`: the position that the answer must have seen. `stale`: a value marked stale may
    stand in for a database that fails.
    """

    bound_s: float | None
    primary: bool
    after: str | None
    stale: bool

    @property
    def plain(self) -> bool:
        return self is SESSION


UNCACHED: Final = -1.0
SESSION: Final = Route(None, primary=False, after=None, stale=True)
LATEST: Final = Route(UNCACHED, primary=True, after=None, stale=False)
ANY: Final = Route(float("inf"), primary=False, after=None, stale=True)


def bounded(seconds: float) -> Bounded:
    """`read=` for answers that are at most `seconds` behind the database: `store.schemas.get(id, read=tierstore.bounded(0.3))`.

    From a microsecond to 31 years; ValidationError otherwise.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise ValidationError(f"seconds must be a number, not {type(seconds).__name__}", place="seconds")
    text = f"{seconds:.6f}".rstrip("0").rstrip(".")
    if text == "0" or _BOUND.fullmatch(bound := f"bounded:{text}s") is None:
        raise ValidationError(f"seconds must be from 0.000001 to 999999999, got {shown(seconds)}", place="seconds")
    return Bounded(bound)


def route(read: str = "session", not_before: str | None = None) -> Route:
    """The route of `read=` and `not_before=`. ValidationError names what is allowed.

    A token asks for what another process wrote, which this process may not have heard of yet: no cache answers it. How far a replica is
    behind is not known, so none answers a read with a bound.
    """
    if not_before is not None:
        if not _is_text(not_before) or _TOKEN.fullmatch(not_before) is None:
            raise ValidationError(
                f"not_before must be a token from store.token(), got {shown(not_before)}", place="not_before"
            )
        return Route(UNCACHED, primary=read == "latest", after=not_before, stale=False)
    if not _is_text(read):
        raise ValidationError(f"read must be str, not {type(read).__name__}", place="read")
    if read == "session":
        return SESSION
    if read == "latest":
        return LATEST
    if read == "any":
        return ANY
    found = _BOUND.fullmatch(read)
    if found is None:
        raise ValidationError(
            f"unknown read {shown(read)}; expected 'session', 'latest', 'any' or a bound such as 'bounded:2s'",
            place="read",
        )
    return Route(float(found[1]) * _SECONDS[found[2]], primary=True, after=None, stale=False)


def later_of(one: str | None, other: str | None) -> str | None:
    """The later of two positions of one database; None stands before all."""
    if one is None or other is None:
        return other if one is None else one
    return max(one, other, key=_place)


def _place(position: str) -> int:
    high, _, low = position.rpartition("/")
    return int(high, 16) << 32 | int(low, 16) if high else int(low)


def _is_text(value: object) -> bool:
    """Callers without a type checker may give anything."""
    return isinstance(value, str)
