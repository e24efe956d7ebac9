"""What the state store takes and returns, besides values."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from tierstore.answers import Answer, exposed
from tierstore.plan.state import pattern

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Default(enum.Enum):
    """`DEFAULT`, as `ttl=`: the lifetime that is configured (`StateConfig.ttl`)."""

    DEFAULT = "DEFAULT"


class Keep(enum.Enum):
    """`KEEP`, as `ttl=`: the end that the value has now."""

    KEEP = "KEEP"


class Absent(enum.Enum):
    """`ABSENT`, as what `compare_and_set` expects: no value."""

    ABSENT = "ABSENT"


DEFAULT: Final = Default.DEFAULT
KEEP: Final = Keep.KEEP
ABSENT: Final = Absent.ABSENT

Kind = Literal["set", "delete", "expire", "gap"]


def moment(milliseconds: int | None) -> datetime | None:
    """A time since the epoch, aware, in UTC."""
    return None if milliseconds is None else EPOCH + timedelta(milliseconds=milliseconds)


@dataclass(frozen=True, slots=True)
class Entry(Answer):
    """A value with what is known of it. `etag` changes with every write of the value; `expires_at` (UTC) is None without an end."""

    key: str
    value: Any
    etag: str
    expires_at: datetime | None

    def __repr__(self) -> str:
        return f"<Entry {pattern(self.key)} etag={self.etag} expires_at={self.expires_at}>"


@dataclass(frozen=True, slots=True)
class StateChange(Answer):
    """A change of one key: "set", "delete", or "expire" when its time came. A "gap" has no key: changes before it were missed.

    `etag` and `expires_at` are those of the value that was set. `position` is opaque: where the feed stood.
    """

    key: str
    kind: Kind
    etag: str | None
    expires_at: datetime | None
    position: str

    def __repr__(self) -> str:
        shown = pattern(self.key) if self.key else ""
        return f"<StateChange {self.kind} {shown} etag={self.etag} expires_at={self.expires_at}>"


@dataclass(frozen=True, slots=True)
class StateStatistics(Answer):
    """`backend`: where state lies. `keys` and `stored_bytes` there; None where the server cannot tell cheaply.

    `hits`, `misses`: values that reads of this process found or did not find. `expired`: values that it removed since it opened the store.
    """

    backend: Literal["memory", "sql", "redis"]
    keys: int | None
    stored_bytes: int | None
    hits: int
    misses: int
    expired: int

    @property
    @exposed
    def hit_ratio(self) -> float:
        """The share of the reads that found a value; 0.0 before the first."""
        asked = self.hits + self.misses
        return self.hits / asked if asked else 0.0


@dataclass(frozen=True, slots=True)
class StateExport(Answer):
    """`exported`: the lines of the file. `unreadable` values do not open and are not in it; `patterns`: of their keys."""

    exported: int
    unreadable: int
    patterns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StateImport(Answer):
    """`stored` values; those `skipped` because there was one already; those whose time had `ended`."""

    stored: int
    skipped: int
    ended: int


@dataclass(frozen=True, slots=True)
class StateRekey(Answer):
    """`checked` values, of which so many were `sealed` anew. `unreadable` values do not open; `patterns`: of their keys."""

    checked: int
    sealed: int
    unreadable: int
    patterns: tuple[str, ...]
