"""What a store says of one kind of value that it wants cached: its name, its record, how it is loaded from the database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from operator import attrgetter
from typing import Any, Final, Generic, Literal, NamedTuple, Protocol, TypeVar

from tierstore.answers import Answer
from tierstore.backends import Fenced, Params
from tierstore.records import Record
from tierstore.runtime import Deadline

K = TypeVar("K", bound=Hashable)
R = TypeVar("R", bound=Record)

ABSENT_TTL_S = 30.0
MAX_STALE_S = 3600.0
ENTRY_BYTES = 600
"""What a record weighs in L1 beside its bytes, or beside its content and metadata."""
ABSENT_BYTES = 64


class _Absence(Enum):
    ABSENT = "absent"


ABSENT: Final = _Absence.ABSENT
"""What a hit returns for a key that is known not to be there; None is "not cached"."""
Absence = Literal[_Absence.ABSENT]


class Found(NamedTuple, Generic[R]):
    """What the database holds for one key: the record, or None, and the version that orders it.

    A derived key (latest, an alias, an absence) carries its owner's version.
    """

    record: R | None
    version: int


NOWHERE: Any = Found(None, 0)
"""What a load says of a key that it did not find."""


class Loaded(NamedTuple):
    """What a load found, and what it saw (`backends.Fenced`). A key that is not in `values` is absent with version 0."""

    values: Mapping[Any, Any]
    as_of: int
    ceiling: int


class Source(Protocol):
    """Where a loader reads: the database, or an open transaction. A loader asks nothing else."""

    @property
    def deadline(self) -> Deadline: ...
    async def fetch(self, query: str, params: Params) -> Fenced:
        """A query whose first two columns are `as_of` and `ceiling`; they are cut off its rows."""
        ...


Load = Callable[[list[K], Source], Awaitable[Loaded]]


class Part(NamedTuple, Generic[R]):
    """Records of a kind hold one of another: the name of that kind, and the key and version of the record there.

    Who reads it there afterwards does not get an older one (I1).
    """

    kind: str
    of: Callable[[R], tuple[Hashable, int]]

    def versions(self, records: Iterable[R | Absence | None]) -> dict[Hashable, int]:
        """By key there, of those that are records."""
        return dict(self.of(record) for record in records if record is not None and record is not ABSENT)


@dataclass(frozen=True, slots=True)
class Kind(Generic[K, R]):
    """One kind of value, of the store that `store` names: its hits and misses are counted there.

    `load` is called once for a batch of keys. `record.row_version` orders the values of a key, unless `version` reads it elsewhere.
    `l2_key` and `parse` turn a key into text and back: the name in L2 and in the outbox. `immutable` values never change once they
    are there (rule 9), and need no freshness. `shared` False keeps the kind out of L2. `weigh` gives the bytes in L1 of a record
    that was loaded; one from L2 weighs what L2 had. Without it nothing is weighed.
    `operation`: the store's call that asks L1 for this kind before it does anything else (`CachedKind.shortcut`); its metrics count what L1
    answered there. `is_partial`: what L1 has, but that call does not answer at once.
    """

    name: str
    record: type[R]
    load: Load[K]
    l2_key: Callable[[K], str] = str
    parse: Callable[[str], Any] = str
    version: Callable[[R], int] = attrgetter("row_version")
    ttl_s: float | None = None
    l2_ttl_s: float | None = None
    max_stale_s: float = MAX_STALE_S
    max_entries: int | None = None
    weigh: Callable[[R], int] | None = None
    immutable: bool = False
    shared: bool = True
    store: str = field(kw_only=True)
    operation: str = field(default="", kw_only=True)
    is_partial: Callable[[R | Absence], bool] | None = field(default=None, kw_only=True)
    part: Part[R] | None = field(default=None, kw_only=True)


class Meta(Answer):
    """How one value was come by. `age` in seconds since it was loaded into this process; `token`: None where no position is known."""

    __slots__ = ("_at", "_clock", "stale", "tier", "token")
    __exposed_names__ = ("tier", "age", "stale", "token")
    tier: Literal["l1", "l2", "database"]
    stale: bool
    token: str | None

    def __init__(
        self,
        tier: Literal["l1", "l2", "database"],
        at: float,
        clock: Callable[[], float],
        *,
        stale: bool = False,
        token: str | None = None,
    ) -> None:
        self.tier = tier
        self.stale = stale
        self.token = token
        self._at = at
        self._clock = clock

    @property
    def age(self) -> float:
        """Seconds since the value was loaded into this process."""
        return self._clock() - self._at

    def __repr__(self) -> str:
        return f"Meta(tier={self.tier!r}, age={self.age:.3f}, stale={self.stale}, token={self.token!r})"
