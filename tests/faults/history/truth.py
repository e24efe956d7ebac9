"""What the database went through: every value that a key had, in the order in which transactions changed it.

Every write to a subject changes the subject's own row first and holds it until its commit, so the transactions of one subject follow each
other. The n-th of them makes the subject's generation n; generation 0 is empty. Each key of the subject (an id, a version, the latest, the
list) has a value in each generation, so that one number orders all that a read can show of it.
"""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import psycopg

from tests.faults.history.records import Commit, Row, by_id, by_version, latest, latest_any

NEVER = float("inf")
CLOCKS_APART_S = 0.02
"""How far the database's clock may be from ours, which it is set against when the history is over."""
LATEST_STATES = ("active", "deprecated")
NOTE = """
CREATE TABLE history_changes (
    number bigserial, transaction bigint, id text, subject text, version text, state text, row_version bigint, owner_version bigint,
    is_deleted boolean, is_purged boolean, by text, at timestamptz DEFAULT clock_timestamp()
);
CREATE FUNCTION history_note() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    suffix text := coalesce(NEW.prerelease, CASE WHEN TG_OP = 'UPDATE' THEN OLD.prerelease END, '');
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.row_version = NEW.row_version THEN
        RETURN NULL;
    END IF;
    INSERT INTO history_changes (
        transaction, id, subject, version, state, row_version, owner_version, is_deleted, is_purged, by
    )
    SELECT pg_current_xact_id()::text::bigint, NEW.id::text, NEW.subject,
        NEW.version_major || '.' || NEW.version_minor || '.' || NEW.version_patch || CASE suffix WHEN '' THEN '' ELSE '-' || suffix END,
        NEW.state, NEW.row_version, o.row_version, NEW.deleted_at IS NOT NULL, NEW.purged_at IS NOT NULL,
        current_setting('application_name')
    FROM subjects AS o WHERE o.subject = NEW.subject;
    RETURN NULL;
END $$;
CREATE TRIGGER history_note AFTER INSERT OR UPDATE ON schemas FOR EACH ROW EXECUTE FUNCTION history_note();
"""


def watch(url: str) -> None:
    """Note every change of a schema from now on, in the transaction that makes it."""
    with psycopg.connect(url) as connection:
        connection.execute(NOTE.encode())


def read_commits(url: str) -> list[Commit]:
    query = b"""
    SELECT transaction, id, subject, version, state, row_version, owner_version, by,
        extract(epoch FROM at)::float8, is_deleted, is_purged
    FROM history_changes ORDER BY number
    """
    ahead_s = time.time() - time.monotonic()
    with psycopg.connect(url) as connection:
        return [
            Commit(one[0], Row(*one[1:6]), one[6], one[7], one[8] - ahead_s, *one[9:])
            for one in connection.execute(query)
        ]


@dataclass(slots=True)
class Chain:
    """The values of one key: `values[n]` from generation `since[n]` on. None is absence; a list has a frozenset of (id, row_version)."""

    subject: str
    since: list[int]
    values: list[Any]
    places: dict[Any, list[int]] = field(default_factory=dict)

    def put(self, generation: int, value: Any) -> None:
        if value != self.values[-1]:
            self.since.append(generation)
            self.values.append(value)
            self.places.setdefault(value, []).append(len(self.values) - 1)

    def find(self, value: Any, least: int, most: int) -> int | None:
        """The first generation from `least` to `most` that shows `value` (or where it began, if before); None if there is none."""
        places = self.places.get(value, ())
        at = bisect_left(places, bisect_right(self.since, least) - 1)
        return self.since[places[at]] if at < len(places) and self.since[places[at]] <= most else None

    def last(self, value: Any, most: int) -> int | None:
        """The last generation that shows `value`, of those that began by `most`; None if none does."""
        places = self.places.get(value, [])
        at = bisect_right(places, most, key=lambda place: self.since[place]) - 1
        if at < 0:
            return None
        following = places[at] + 1
        return self.since[following] - 1 if following < len(self.since) else NO_END


NO_END = 1 << 60


def _chain(subject: str, empty: Any) -> Chain:
    return Chain(subject, [0], [empty], {empty: [0]})


class Change:
    """A row as one transaction left it: `generation` of its subject. `is_visible`: it was not changed once more before the commit."""

    __slots__ = ("commit", "generation", "is_visible")

    def __init__(self, commit: Commit, generation: int) -> None:
        self.commit = commit
        self.generation = generation
        self.is_visible = False


class Truth:
    """`seen_by`: until when a transaction is known to be committed, by what calls answered; each generation's is in `known_at`."""

    def __init__(self, commits: Iterable[Commit]) -> None:
        self.chains: dict[str, Chain] = {}
        self.lists: dict[str, Chain] = {}
        self.changes: dict[tuple[str, int], Change] = {}
        self.gone: dict[str, list[Change]] = defaultdict(list)
        self.transactions: dict[str, list[int]] = {}
        self._begun_at: dict[str, list[float]] = {}
        self._seen_by: dict[int, float] = {}
        self._known_at: dict[str, list[float]] = {}
        subjects: dict[str, list[Commit]] = defaultdict(list)
        for commit in commits:
            subjects[commit.row.subject].append(commit)
        for subject, own in subjects.items():
            self._replay(subject, sorted(own, key=lambda commit: (commit.owner_version, commit.row.row_version)))

    def _replay(self, subject: str, commits: list[Commit]) -> None:
        rows: dict[str, Commit] = {}
        transactions, begun_at = (
            self.transactions.setdefault(subject, [0]),
            self._begun_at.setdefault(subject, [-NEVER]),
        )
        self.lists[subject] = _chain(subject, frozenset())
        for transaction, group in groupby(commits, key=lambda commit: commit.transaction):
            transactions.append(transaction)
            generation, touched = len(transactions) - 1, {}
            begun_at.append(begun_at[-1])
            for commit in group:
                begun_at[-1] = max(begun_at[-1], commit.at - CLOCKS_APART_S)
                touched[commit.row.id] = self.changes[commit.row.id, commit.row.row_version] = Change(
                    commit, generation
                )
                if commit.is_deleted:
                    self.gone[commit.row.id].append(touched[commit.row.id])
            for id, change in touched.items():
                change.is_visible = True
                rows[id] = change.commit
            self._put(subject, generation, rows, [change.commit.row for change in touched.values()])

    def _put(self, subject: str, generation: int, rows: dict[str, Commit], touched: list[Row]) -> None:
        present = [commit.row for commit in rows.values() if not commit.is_deleted]
        versions = {row.version: row for row in present}
        current = sorted((row for row in present if row.state in LATEST_STATES), key=_order)
        releases = [row for row in current if "-" not in row.version]
        for row in touched:
            self._of(by_id(row.id), subject).put(generation, None if rows[row.id].is_deleted else row)
            self._of(by_version(subject, row.version), subject).put(generation, versions.get(row.version))
        self._of(latest(subject), subject).put(generation, (releases or current or [None])[-1])
        self._of(latest_any(subject), subject).put(generation, (current or [None])[-1])
        self.lists[subject].put(generation, frozenset((row.id, row.row_version) for row in present))

    def _of(self, key: str, subject: str) -> Chain:
        if key not in self.chains:
            self.chains[key] = _chain(subject, None)
        return self.chains[key]

    # Until when what was committed

    def saw(self, transaction: int, at: float) -> None:
        """The transaction was committed at `at`."""
        self._seen_by[transaction] = min(at, self._seen_by.get(transaction, NEVER))

    def settle(self) -> None:
        """Call it after the last `saw`. What follows a transaction on its subject was committed after it."""
        for subject, transactions in self.transactions.items():
            known = [self._seen_by.get(transaction, NEVER) for transaction in transactions]
            for at in range(len(known) - 2, -1, -1):
                known[at] = min(known[at], known[at + 1])
            known[0] = -NEVER
            self._known_at[subject] = known

    def generation_at(self, subject: str, moment: float) -> int:
        """The last generation that is known to have been committed by then."""
        return bisect_right(self._known_at.get(subject, [-NEVER]), moment) - 1

    def generation_begun(self, subject: str, moment: float) -> int:
        """The last generation that may have been committed by then."""
        return bisect_right(self._begun_at.get(subject, [-NEVER]), moment) - 1

    def last_generation(self, subject: str) -> int:
        return len(self.transactions.get(subject, [0])) - 1


def _order(row: Row) -> tuple[list[int], bool, str]:
    numbers, _, suffix = row.version.partition("-")
    return [int(part) for part in numbers.split(".")], not suffix, suffix
