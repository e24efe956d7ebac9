"""The only SQL in the tree: named queries and numbered migrations, one folder per dialect.

    sql/<dialect>/queries/<file>.sql           each query begins with a line `-- name: <query>`, is called `<file>.<query>`, and may
                                               be followed by a line `-- slow` (below)
    sql/<dialect>/migrations/NNN_<name>.up.sql and .down.sql

Parameters are `:name` on SQLite and `%(name)s` on PostgreSQL (where a literal percent sign is written `%%`, so pg_trgm's `%>` is
`%%>`).
On PostgreSQL every name says its schema, so that no query depends on a session's search_path: `qualified` puts it in. `{schema}` is the
store's schema, `{schema_text}` the same as a literal, `{trgm}` the schema of the extension pg_trgm (`OPERATOR({trgm}.%%>)`).
`-- slow` marks a query that may visit many rows: in the async face SQLite answers it on a thread, all others on the loop.
"""

from __future__ import annotations

import functools
import re
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Literal, NamedTuple

Dialect = Literal["sqlite", "postgres"]

_NAME = re.compile(r"^-- name: ([a-z][a-z0-9_]*)$")
_PLACE = re.compile(r"\{(?:schema|schema_text|trgm)\}")
_FILE = re.compile(r"^(\d{3})_([a-z0-9_]+)\.(up|down)\.sql$")


class MigrationFile(NamedTuple):
    """One file of a migration as it lies on disk; `plan.migrations` reads the pairs."""

    number: int
    name: str
    direction: Literal["up", "down"]
    text: str


@functools.cache
def load_queries(dialect: Dialect) -> dict[str, str]:
    """Every named query of a dialect as `file.query` -> text, the comment lines under its name included.

    ValueError names the file for text before the first name, a name given twice, or a query without text.
    """
    queries: dict[str, str] = {}
    for entry in _entries(dialect, "queries"):
        if entry.name.endswith(".sql"):
            stem = entry.name.removesuffix(".sql")
            for name, text in _split(entry.read_text("utf-8"), entry.name).items():
                queries[f"{stem}.{name}"] = text
    return queries


@functools.cache
def load_migrations(dialect: Dialect) -> tuple[MigrationFile, ...]:
    """The migration files of a dialect, by number, up before down. ValueError for a file that is not named NNN_name.up.sql."""
    files = []
    for entry in _entries(dialect, "migrations"):
        found = _FILE.match(entry.name)
        if found is None:
            raise ValueError(f"{entry.name}: a migration is named NNN_name.up.sql or NNN_name.down.sql")
        direction: Literal["up", "down"] = "up" if found[3] == "up" else "down"
        files.append(MigrationFile(int(found[1]), found[2], direction, entry.read_text("utf-8")))
    return tuple(sorted(files, key=lambda file: (file.number, file.direction == "down")))


def is_slow(query: str) -> bool:
    """Whether the query's header says `-- slow`."""
    return query.startswith("-- slow\n")


def qualified(text: str, *, schema: str, trgm: str) -> str:
    """`text` with the names of both schemas put in, quoted."""
    named = {
        "{schema}": _identifier(schema),
        "{schema_text}": "'" + schema.replace("'", "''") + "'",
        "{trgm}": _identifier(trgm),
    }
    return _PLACE.sub(lambda found: named[found[0]], text)


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _entries(dialect: Dialect, folder: str) -> list[Traversable]:
    found = resources.files(__name__).joinpath(dialect, folder)
    return sorted((entry for entry in found.iterdir() if entry.name.endswith(".sql")), key=lambda entry: entry.name)


def _split(text: str, file: str) -> dict[str, str]:
    queries: dict[str, str] = {}
    name: str | None = None
    lines: list[str] = []
    for line in [*text.splitlines(), "-- name: end"]:
        found = _NAME.match(line)
        if found is None:
            lines.append(line)
            continue
        body = "\n".join(lines).strip().removesuffix(";")
        if name is not None:
            if not body or name in queries:
                raise ValueError(f"{file}: query {name} is empty or given twice")
            queries[name] = body
        elif body and not all(line.startswith("--") or not line for line in lines):
            raise ValueError(f"{file}: text before the first `-- name:` line")
        name, lines = found[1], []
    return queries
