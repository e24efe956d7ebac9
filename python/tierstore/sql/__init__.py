"""The only SQL in the tree: named queries and numbered migrations, one folder per dialect.

    sql/<dialect>/queries/<file>.sql           queries, each called `<file>.<name>`; `query.py` says what a head may say
    sql/<dialect>/migrations/NNN_<name>.up.sql and .down.sql

Parameters are `:name` on SQLite and `%(name)s` on PostgreSQL (where a literal percent sign is written `%%`, so pg_trgm's `%>` is
`%%>`).
On PostgreSQL every name says its schema, so that no query depends on a session's search_path: `qualified` puts it in. `{schema}` is the
store's schema, `{schema_text}` the same as a literal, `{trgm}` the schema of the extension pg_trgm (`OPERATOR({trgm}.%%>)`).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Literal, NamedTuple

from tierstore.sql.query import Query as Query
from tierstore.sql.query import parse_lists, parse_queries

Dialect = Literal["sqlite", "postgres"]
DIALECTS: tuple[Dialect, ...] = ("sqlite", "postgres")

_PLACE = re.compile(r"\{(?:schema|schema_text|trgm)\}")
_FILE = re.compile(r"^(\d{3})_([a-z0-9_]+)\.(up|down)\.sql$")


class MigrationFile(NamedTuple):
    """One file of a migration as it lies on disk; `plan.migrations` reads the pairs."""

    number: int
    name: str
    direction: Literal["up", "down"]
    text: str


@functools.cache
def load_queries(dialect: Dialect) -> dict[str, Query]:
    """Every named query of a dialect, by `file.query`. ValueError names the file and the query, and what is wrong with it."""
    texts = {entry.name: entry.read_text("utf-8") for entry in _entries(dialect, "queries")}
    lists: dict[str, tuple[str, ...]] = {}
    for file, text in texts.items():
        for name, columns in parse_lists(text, file).items():
            if name in lists:
                raise ValueError(f"{file}: the list {name} is given in another file too")
            lists[name] = columns
    queries = {
        f"{file.removesuffix('.sql')}.{name}": query
        for file, text in texts.items()
        for name, query in parse_queries(text, file, lists).items()
    }
    for name, query in queries.items():
        if query.first is not None and (query.first not in queries or queries[query.first].first is not None):
            raise ValueError(f"{name} says `-- first: {query.first}`; expected a query that runs alone")
    return queries


@functools.cache
def places(leading: str) -> Mapping[str, int]:
    """Where each column stands in the rows (their fence cut off) that begin with the list `leading`, in every query of both dialects.

    ValueError for a column that stands in two places.
    """
    found: dict[str, int] = {}
    for dialect in DIALECTS:
        for name, query in load_queries(dialect).items():
            if query.leading == leading:
                for place, column in enumerate(query.columns[2:] if query.fenced else query.columns):
                    if found.setdefault(column, place) != place:
                        text = f"the column {column} stands at {place}; expected {found[column]}, as in other queries"
                        raise ValueError(f"{name} ({dialect}): {text}")
    return found


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
