"""Is a history one that the guarantees allow? Versions order the values of a key, so one walk over the calls answers it.

I1  what a process was shown of a key none of its later calls contradicts. A schema that was shown by version, as the latest, in a list
    or a search counts for its id too, one in a list or a search for its version.
I2  a read that begins after a write has returned in its process sees that write: by key in the whole process, lists in the same task.
I3  a read with a token sees what the token's call wrote.
I4  a read that is not marked stale is at most as far behind as its `read=` says: H and the time that a load may take for "session".
I5  a write that was acknowledged is there, and was committed as a whole.
I6  what a read shows was committed at some time: nothing that was rolled back, nothing in the middle of a transaction.
I7  at rest every tier equals the database.
I9  a call ends by its timeout and a tenth.
I10 stale values are given only where the caller allows them.
I11 absence is a value like any other in I1 to I7.
calls  nothing but the library's own errors comes out of a call, and reads fail only while the database does.

When a generation of a subject (`truth.py`) was committed is known by what calls answered: a write by then, or a read that showed it. That
is never too early, so nothing that the guarantees allow is held against a history.
"""

from __future__ import annotations

import heapq
import itertools
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tests.faults.history.records import (
    LAG,
    Call,
    Commit,
    Fault,
    Row,
    Shown,
    Wrote,
    by_id,
    by_version,
    latest,
    latest_any,
)
from tests.faults.history.truth import Chain, Change, Truth
from tierstore.plan.route import route
from tierstore.tiers.freshness import HORIZON_S

NOISE_S = 0.05
"""What a call may take beyond its timeout and a tenth where its process was not held up."""
AFTERMATH_S = 6.0
"""How long after a fault of the database a read may still fail: it began before the end, or a pool is being filled again."""
PATIENT_S, HELD_UP_S = 1.0, 0.3
"""On a busy machine a read with less time may miss its deadline, and any read in a process that got no turn for so long."""


@dataclass(frozen=True, slots=True)
class Violation:
    """`promise`: I1 and so on. `keys`: whose history shows it."""

    promise: str
    text: str
    call: Call
    keys: tuple[str, ...] = ()


class Bound(NamedTuple):
    """A read must show this generation of a subject or a later one; `by`: the call that says so."""

    generation: int
    promise: str
    by: Call | None


FROM_THE_START = Bound(0, "", None)


class Checker:
    """One history. `check` gives every violation, in the order of the calls."""

    def __init__(self, calls: Sequence[Call], commits: Iterable[Commit], faults: Sequence[Fault] = ()) -> None:
        self.truth = Truth(commits)
        self.calls = sorted((call for call in calls if call.name != LAG), key=lambda call: call.began)
        self._lags = _Lags(call for call in calls if call.name == LAG)
        self._outages = [fault for fault in faults if fault.database]
        self._by_number = {call.at: call for call in self.calls}
        self._floors: dict[str, dict[Hashable, Bound]] = defaultdict(dict)
        self._coming: list[tuple[float, int, str, Hashable, Bound]] = []
        self._order = itertools.count()
        self._removed: dict[tuple[str, int], list[Change]] = defaultdict(list)
        self._found: list[Violation] = []

    def check(self) -> list[Violation]:
        self._learn_when()
        for call in self.calls:
            self._pass_time(call.began)
            for shown in call.shown:
                self._check_shown(call, shown)
            self._check_rows(call)
            for wrote in call.wrote:
                self._check_written(call, wrote)
            self._check_transaction(call)
            self._check_end(call)
        return self._found

    # When what was committed

    def _learn_when(self) -> None:
        truth = self.truth
        for call in self.calls:
            for row in _rows_of(call):
                if (change := truth.changes.get((row.id, row.row_version))) is not None:
                    truth.saw(change.commit.transaction, call.ended)
        truth.settle()
        self._learn_removals()
        truth.settle()

    def _learn_removals(self) -> None:
        """There is a deletion for each that was acknowledged; those that ended first have the fewest to choose from.

        Which is whose cannot be told where a process deleted twice at once. So a call is held to the earliest that it may have been.
        """
        claimed: set[Change] = set()
        for call in sorted(self.calls, key=lambda call: call.ended):
            for wrote in call.wrote:
                possible = [] if wrote.row is not None else self._removals(call, wrote)
                if free := [change for change in possible if change not in claimed]:
                    claimed.add(free[0])
                    self._removed[call.at].append(possible[0])
                    self.truth.saw(possible[0].commit.transaction, call.ended)

    def _removals(self, call: Call, wrote: Wrote) -> list[Change]:
        """The deletions that this call may have been: its process made them, and it was under way then."""
        return [
            change
            for change in self.truth.gone.get(wrote.id, ())
            if change.commit.by == call.process
            and change.commit.is_purged == (wrote.action == "purge")
            and self.truth.generation_at(change.commit.row.subject, call.began)
            < change.generation
            <= self.truth.generation_begun(change.commit.row.subject, call.ended)
        ]

    # What is known in a process

    def _pass_time(self, now: float) -> None:
        """What had been answered before `now` binds the calls that begin then."""
        while self._coming and self._coming[0][0] < now:
            _, _, process, key, bound = heapq.heappop(self._coming)
            floors = self._floors[process]
            if bound.generation > floors.get(key, FROM_THE_START).generation:
                floors[key] = bound

    def _bind(self, call: Call, key: Hashable, generation: int, promise: str) -> None:
        for bound in (key, _in_a_list(key)) if promise == "I1" else (key,):
            entry = (call.ended, next(self._order), call.process, bound, Bound(generation, promise, call))
            heapq.heappush(self._coming, entry)

    def _bind_row(self, call: Call, row: Row) -> None:
        """By its id, and by subject and version where a list or a search showed it."""
        change = self.truth.changes.get((row.id, row.row_version))
        if change is None or not change.is_visible:
            return
        self._bind(call, by_id(row.id), change.generation, "I1")
        version = by_version(row.subject, row.version)
        since = self.truth.chains[version].find(row, 0, change.generation)
        if row in call.rows and since is not None:
            self._bind(call, version, since, "I1")

    # Reads

    def _check_shown(self, call: Call, shown: Shown) -> None:
        if shown.stale and not route(call.read, _token(call)).stale:
            self._add("I10", f"{shown.key} was given stale, which read={call.read!r} does not allow", call, shown.key)
        chain = self.truth.chains.get(shown.key)
        if chain is None:
            if shown.row is not None:
                self._add("I6", f"{shown.key} is {shown.row}, and was never written", call, shown.key)
            return
        bounds = [self._floors[call.process].get(shown.key, FROM_THE_START)]
        if not shown.stale:
            bounds += self._bounds(call, chain.subject, shown.key)
        generation = self._place(call, shown.key, chain, shown.row, bounds)
        if generation is not None:
            self._bind(call, shown.key, generation, "I1")
            if shown.row is not None:
                self._bind_row(call, shown.row)

    def _bounds(self, call: Call, subject: str, key: str) -> list[Bound]:
        truth, way = self.truth, route(call.read, _token(call))
        if call.rest:
            return [Bound(truth.last_generation(subject), "I7", None)]
        bounds = []
        if call.token is not None and (source := self._by_number.get(call.token)) is not None:
            bounds += [
                Bound(generation, "I3", source)
                for named, generation in self._written(source)
                if named == key or (key.startswith("list ") and named == latest(subject))
            ]
        if way.primary and way.bound_s is not None and way.bound_s < 0:
            bounds.append(Bound(truth.generation_at(subject, call.began), "I4", None))
        elif way.bound_s != float("inf"):
            behind_s = HORIZON_S if way.bound_s is None or way.bound_s < 0 else way.bound_s
            bounds.append(Bound(truth.generation_at(subject, call.began - behind_s - call.limit), "I4", None))
        return bounds

    def _place(self, call: Call, key: str, chain: Chain, value: object, bounds: list[Bound]) -> int | None:
        """The first generation that shows the value as late as all the bounds want it; a violation if there is none."""
        least, most = max(bound.generation for bound in bounds), self.truth.generation_begun(chain.subject, call.ended)
        generation = chain.find(value, least, most)
        if generation is not None:
            return generation
        last = chain.last(value, most)
        if last is None:
            self._add("I6", f"{key} was not {_brief(value)} until then", call, key)
            return None
        for bound in bounds:
            if bound.generation > last:
                at_least = chain.values[bisect_right(chain.since, bound.generation) - 1]
                text = f"{key} is {_brief(value)}, of generation {last} at most; {_brief(at_least)}, of generation {bound.generation},"
                self._add(bound.promise, f"{text} {_because(bound)}", call, key)
                return None
        return None

    def _check_rows(self, call: Call) -> None:
        """Each row by itself, and all of a list together."""
        if call.listed and (chain := self.truth.lists.get(call.listed)) is not None and not call.error:
            key = f"list {call.listed}"
            bounds = [self._floors[call.process].get((key, call.task), FROM_THE_START)]
            bounds += self._bounds(call, call.listed, key)
            if self._place(call, key, chain, frozenset((row.id, row.row_version) for row in call.rows), bounds) is None:
                return
        for row in call.rows:
            chain = self.truth.chains.get(by_id(row.id))
            if chain is None:
                self._add("I6", f"{row} was never written", call, by_id(row.id))
                continue
            bounds = [self._floors[call.process].get(_in_a_list(by_id(row.id)), FROM_THE_START)]
            if not call.listed:
                bounds += self._bounds(call, row.subject, by_id(row.id))
            if self._place(call, by_id(row.id), chain, row, bounds) is not None:
                self._bind_row(call, row)

    # Writes

    def _check_written(self, call: Call, wrote: Wrote) -> None:
        if wrote.row is None:
            if not any(change.commit.row.id == wrote.id for change in self._removed[call.at]):
                text = f"{wrote.action} of {wrote.id} was acknowledged, and the database has none"
                self._add("I5", text, call, by_id(wrote.id))
        elif (change := self.truth.changes.get((wrote.id, wrote.row.row_version))) is None:
            self._add("I5", f"{wrote.action} was acknowledged as {wrote.row}, which the database lacks", call)
        elif change.commit.row != wrote.row:
            self._add("I6", f"{wrote.action} answered {wrote.row}; the database had {change.commit.row}", call)
        for key, generation in self._written(call):
            self._bind(call, key, generation, "I2")
            if key.startswith("latest "):
                self._bind(call, (f"list {key.removeprefix('latest ')}", call.task), generation, "I2")

    def _written(self, call: Call) -> list[tuple[str, int]]:
        """The keys that the call changed, and the generation that it made of each."""
        changes = [
            change
            for one in call.wrote
            if one.row is not None and (change := self.truth.changes.get((one.id, one.row.row_version))) is not None
        ]
        return [
            (key, change.generation)
            for change in (*changes, *self._removed.get(call.at, ()))
            for key in _keys(change.commit.row)
        ]

    def _check_transaction(self, call: Call) -> None:
        """What was acknowledged together was committed together."""
        if call.name != "transaction":
            return
        rows = [one.row for one in call.wrote if one.row is not None]
        found = [self.truth.changes.get((row.id, row.row_version)) for row in rows]
        if len({one.commit.transaction for one in found if one is not None}) > 1:
            self._add("I5", f"one transaction was committed in parts: {rows}", call, *(by_id(row.id) for row in rows))

    # Time and errors

    def _check_end(self, call: Call) -> None:
        took, lag_s = call.ended - call.began, self._lags.within(call.process, call.began, call.ended)
        if took > call.limit * 1.1 + NOISE_S + lag_s:
            text = f"the call took {took:.3f} s with a timeout of {call.limit:.3f} s (held up for {lag_s:.3f} s)"
            self._add("I9", text, call)
        if call.error.startswith("!"):
            self._add("calls", f"an error that is none of the library's: {call.error[1:]}", call)
        elif call.error and call.is_read and not self._may_fail(call, lag_s):
            self._add("calls", f"a read failed while the database was well: {call.error}", call)

    def _may_fail(self, call: Call, lag_s: float) -> bool:
        during = any(one.began <= call.ended and call.began <= one.ended + AFTERMATH_S for one in self._outages)
        had_no_time = "TimeoutError" in call.error and (call.limit < PATIENT_S or lag_s > HELD_UP_S)
        return during or had_no_time or call.error == "cancelled"

    def _add(self, promise: str, text: str, call: Call, *keys: str) -> None:
        self._found.append(Violation(promise, text, call, keys))


class _Lags:
    """When a process got no turn."""

    def __init__(self, lags: Iterable[Call]) -> None:
        self._by_process: dict[str, list[Call]] = defaultdict(list)
        for lag in sorted(lags, key=lambda lag: lag.ended):
            self._by_process[lag.process].append(lag)

    def within(self, process: str, began: float, ended: float) -> float:
        lags = self._by_process.get(process, [])
        total = 0.0
        for at in range(bisect_left(lags, began, key=lambda lag: lag.ended), len(lags)):
            if lags[at].began > ended:
                break
            total += lags[at].ended - lags[at].began
        return total


def _in_a_list(key: Hashable) -> Hashable:
    """Whose bounds hold for the rows of lists: those of what was shown, not of what other tasks wrote."""
    return "row", key


def _rows_of(call: Call) -> Iterable[Row]:
    yield from (shown.row for shown in call.shown if shown.row is not None)
    yield from (wrote.row for wrote in call.wrote if wrote.row is not None)
    yield from call.rows


def _keys(row: Row) -> tuple[str, ...]:
    """Those that a change of the row has changed."""
    return by_id(row.id), by_version(row.subject, row.version), latest(row.subject), latest_any(row.subject)


def _token(call: Call) -> str | None:
    return None if call.token is None else "0"


def _brief(value: object) -> str:
    if isinstance(value, Row):
        return f"{value.subject} {value.version} {value.state} {value.row_version}"
    return "absent" if value is None else f"the list of {sorted(value)}" if isinstance(value, frozenset) else str(value)


def _because(bound: Bound) -> str:
    if bound.by is not None:
        return f"was known by {bound.by}"
    return "is the last" if bound.promise == "I7" else "was committed before"
