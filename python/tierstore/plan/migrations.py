"""Which migrations to run, decided from the files and from what a database says was applied. No I/O.

The head of a file (its comment lines before the first statement) may say
    -- oldest_code: N      code that knows fewer than N migrations must not run beside a database that has this one
    -- no transaction      each statement stands alone; such a file must be safe to run again after it stopped half way
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from tierstore.errors import ConflictError, ValidationError

_OLDEST = re.compile(r"^-- oldest_code: (\d+)\s*$", re.MULTILINE)
_ALONE = re.compile(r"^-- no transaction\s*$", re.MULTILINE)
# What may hold a semicolon that ends nothing: comments, quoted names and text, dollar quotes.
_TOKEN = re.compile(
    r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\$(\w*)\$.*?\$\1\$|;|[^;'\"$/-]+|.",
    re.DOTALL,
)


class File(Protocol):
    """A migration file, as `tierstore.sql.load_migrations` reads it."""

    @property
    def number(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def direction(self) -> Literal["up", "down"]: ...
    @property
    def text(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Migration:
    """A pair of files. `checksum`: hex SHA-256 of the up file; `alone`: its statements run outside a transaction."""

    number: int
    name: str
    up: str
    down: str
    checksum: str
    oldest_code: int
    alone: bool

    @property
    def label(self) -> str:
        return f"{self.number:03}_{self.name}"


class Applied(NamedTuple):
    """A row of tierstore_migrations; `applied_at` in microseconds since the epoch."""

    number: int
    name: str
    checksum: str
    oldest_code: int
    applied_at: int

    @property
    def label(self) -> str:
        return f"{self.number:03}_{self.name}"


class Line(NamedTuple):
    """One line of the status. `newer`: applied by newer code, unknown to this one. `applied_at` as in `Applied`."""

    name: str
    state: Literal["applied", "pending", "changed", "newer"]
    applied_at: int | None

    @property
    def applied(self) -> bool:
        """Whether nothing is left to do about it."""
        return self.state in ("applied", "newer")


def parse(files: Iterable[File]) -> tuple[Migration, ...]:
    """The migrations by number. ValidationError names one that lacks its up or down file, or shares its number."""
    pairs: dict[int, dict[str, File]] = {}
    for file in files:
        pair = pairs.setdefault(file.number, {})
        if file.direction in pair or any(other.name != file.name for other in pair.values()):
            raise ValidationError(
                f"two migrations have the number {file.number:03}, and one of them is {file.name}; give one another number"
            )
        pair[file.direction] = file
    return tuple(_migration(number, pairs[number]) for number in sorted(pairs))


def _migration(number: int, pair: dict[str, File]) -> Migration:
    some = next(iter(pair.values()))
    if len(pair) < 2:
        raise ValidationError(f"migration {number:03}_{some.name} needs an up file and a down file")
    up, down = pair["up"].text, pair["down"].text
    head = _head(up)
    oldest = _OLDEST.search(head)
    checksum = hashlib.sha256(up.replace("\r\n", "\n").encode()).hexdigest()
    return Migration(
        number, some.name, up, down, checksum, int(oldest[1]) if oldest else number, _ALONE.search(head) is not None
    )


def _head(text: str) -> str:
    lines = []
    for line in text.splitlines():
        if line and not line.startswith("--"):
            break
        lines.append(line)
    return "\n".join(lines)


def check(known: Sequence[Migration], applied: Sequence[Applied]) -> None:
    """ConflictError where this code must not touch the database: a file changed since, or a database that is too new."""
    files = {migration.number: migration for migration in known}
    newest = known[-1].number if known else 0
    for row in applied:
        file = files.get(row.number)
        if file is not None and (file.checksum != row.checksum or file.name != row.name):
            raise ConflictError(
                f"migration {row.label} was changed after it was applied; restore its file, and write a new migration instead"
            )
        if file is None and row.number <= newest:
            raise ConflictError(f"migration {row.label} was applied, but its file is missing; restore the file")
        if row.oldest_code > newest:
            raise ConflictError(
                f"the database has migration {row.label}, which needs code that knows migration {row.oldest_code:03}; "
                f"this code knows {newest:03}; install a newer tierstore"
            )


def steps_up(known: Sequence[Migration], applied: Sequence[Applied], target: int | None) -> list[Migration]:
    """What is missing, up to and including `target`, in order."""
    check(known, applied)
    if target is not None and target not in {migration.number for migration in known}:
        raise ValidationError(
            f"there is no migration {target:03}; `tierstore migrate status` lists them", place="target"
        )
    done = {row.number for row in applied}
    return [item for item in known if item.number not in done and (target is None or item.number <= target)]


def steps_down(known: Sequence[Migration], applied: Sequence[Applied], steps: int) -> list[Migration]:
    """The last `steps` applied ones, newest first. ConflictError for one that only newer code can take back."""
    if steps < 0:
        raise ValidationError(f"steps must be at least 0, got {steps}", place="steps")
    check(known, applied)
    files = {migration.number: migration for migration in known}
    chosen = []
    for row in sorted(applied, reverse=True)[:steps]:
        if row.number not in files:
            raise ConflictError(f"migration {row.label} came with newer code; revert it with that code")
        chosen.append(files[row.number])
    return chosen


def lines(known: Sequence[Migration], applied: Sequence[Applied]) -> list[Line]:
    """One line a migration, by number."""
    rows = {row.number: row for row in applied}
    found = []
    for migration in known:
        row = rows.pop(migration.number, None)
        same = row is not None and row.checksum == migration.checksum and row.name == migration.name
        state: Literal["applied", "pending", "changed"] = "pending" if row is None else "applied" if same else "changed"
        found.append(Line(migration.label, state, row.applied_at if row else None))
    found += [Line(row.label, "newer", row.applied_at) for row in rows.values()]
    return sorted(found)


def statements(text: str) -> list[str]:
    """The statements of a script, each without its semicolon; comments stay with the statement that they are in."""
    found, current = [], ""
    for token in _TOKEN.finditer(text):
        if token[0] != ";":
            current += token[0]
            continue
        found.append(current.strip())
        current = ""
    found.append(current.strip())
    return [statement for statement in found if any(map(_is_code, statement.splitlines()))]


def _is_code(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("--")
