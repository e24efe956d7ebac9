"""A file of named queries, taken apart: what each says of itself in its head, and its text.

    -- list: info =                       a list of columns, for every file of the dialect; `row.` stands for the table
    --     row.id::text AS id, row.subject
    -- name: find                         the query `file.find`; its head is the comment that follows
    -- fenced                             its rows begin with the columns as_of and ceiling (backends.Fenced)
    -- slow                               it may visit many rows: in the async face SQLite answers it on a thread
    -- first: owners.touch                that query runs before it, in the same transaction and with the same parameters
    -- each                               its parameters are lists: it runs once for every place in them
    -- nothing                            this engine has nothing to do here: it is never sent, and returns no row
    -- columns: {fence of f}, {info of s}, s.body
    -- Any other line of the comment is a remark. It begins with more than one word.
    SELECT {columns} FROM …

A column is called by its `AS`, or by the last part of its name. `{info of s}` puts `s.` in the place of `row.`, `{info}` nothing.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

FENCE = ("as_of", "ceiling")
NAMES = ("schema", "schema_text", "trgm")
"""What PostgreSQL's driver puts in (`qualified`)."""

_NAME = re.compile(r"^-- name: ([a-z][a-z0-9_]*)$")
_LIST = re.compile(r"^-- list: ([a-z][a-z0-9_]*) =(.*)$")
_MORE = re.compile(r"^--\s{4,}(\S.*)$")
_HEAD = re.compile(r"^-- (\w+)(?:: ?(.*))?$")
_PUT_IN = re.compile(r"^\{(\w+)(?: of (\w+))?\}$")
_BRACES = re.compile(r"\{(\w[^{}]*)\}")
_CALLED = re.compile(r"(?:\sAS\s+|^(?:\w+\.)?)(\w+)$")
_PARAMETER = re.compile(r"(?<![:\w]):([a-z]\w*)|%\((\w+)\)")
_FLAGS = frozenset({"fenced", "slow", "each", "nothing"})

Lists = Mapping[str, tuple[str, ...]]
"""The columns of each named list, `row.` still in them."""


@dataclass(frozen=True, slots=True)
class Query:
    """One query. `columns`: what its rows are made of, where its head says so; `leading`: the named list that they begin with, after the
    columns of a fence."""

    text: str
    slow: bool = False
    fenced: bool = False
    first: str | None = None
    each: bool = False
    columns: tuple[str, ...] = ()
    leading: str | None = None


@functools.cache
def parameters(text: str) -> tuple[str, ...]:
    """Those that a query's text names, of either dialect."""
    return tuple(dict.fromkeys(lite or postgres for lite, postgres in _PARAMETER.findall(text)))


@dataclass(slots=True)
class _Parts:
    """A query's lines, by what they are."""

    flags: set[str] = field(default_factory=set)
    said: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)


def parse_lists(text: str, file: str) -> dict[str, tuple[str, ...]]:
    """The named lists of a file. ValueError names the file and a list that is given twice or has a column without a name."""
    found: dict[str, tuple[str, ...]] = {}
    name = body = ""
    for line in [*text.partition("\n-- name:")[0].splitlines(), ""]:
        head, more = _LIST.match(line), _MORE.match(line)
        if name and more is not None:
            body += " " + more[1]
            continue
        if name:
            found[name] = _columns(body)
            _called(found[name], f"{file}: list {name}")
            name = ""
        if head is not None:
            name, body = head[1], head[2]
            if name in found:
                raise ValueError(f"{file}: the list {name} is given twice")
    return found


def parse_queries(text: str, file: str, lists: Lists) -> dict[str, Query]:
    """The queries of a file, by name. ValueError names the file, the query and what is wrong with it."""
    queries: dict[str, Query] = {}
    name: str | None = None
    lines: list[str] = []
    for line in [*text.splitlines(), "-- name: end"]:
        found = _NAME.match(line) if line.startswith("-- name:") else None
        if found is None:
            lines.append(line)
            continue
        if name is None:
            _check_top(lines, file)
        if name is not None:
            if name in queries:
                raise ValueError(f"{file}: query {name} is given twice")
            queries[name] = parse_query("\n".join(lines), f"{file}: query {name}", lists)
        name, lines = found[1], []
    return queries


def _check_top(lines: list[str], file: str) -> None:
    """Above the first query stand remarks and lists."""
    for line in lines:
        if line and not line.startswith("--"):
            raise ValueError(f"{file}: text before the first `-- name:` line")
        if _HEAD.match(line) and not _LIST.match(line):
            raise ValueError(f"{file}: unknown head {line!r} above the first query; expected `-- list: name = …`")


def parse_query(text: str, where: str, lists: Lists) -> Query:
    """One query from its head and its text. ValueError begins with `where`."""
    parts = _parts(text, where)
    body = "\n".join(parts.lines).strip().removesuffix(";").rstrip()
    if bool(body) == ("nothing" in parts.flags):
        raise ValueError(f"{where} is empty" if not body else f"{where} says `-- nothing`, and has a text")
    columns, leading = _put_in(parts.said.get("columns"), where, lists)
    names = _called(columns, where)
    for braces in _BRACES.findall(body):
        if braces not in NAMES and (braces != "columns" or not columns):
            raise ValueError(
                f"{where}: unknown {{{braces}}}; expected {{columns}}, beside a head that says what they are"
            )
    if columns and body.count("{columns}") != 1:
        raise ValueError(f"{where} says what its columns are; expected {{columns}} once in its text")
    if "fenced" in parts.flags and names[:2] != FENCE:
        raise ValueError(f"{where} is fenced, so its columns begin with {', '.join(FENCE)}; got {', '.join(names[:2])}")
    return Query(
        body.replace("{columns}", ", ".join(columns)),
        slow="slow" in parts.flags,
        fenced="fenced" in parts.flags,
        first=parts.said.get("first"),
        each="each" in parts.flags,
        columns=names,
        leading=leading,
    )


def _parts(text: str, where: str) -> _Parts:
    """Head and text. A line of the head that goes on is indented by four."""
    parts = _Parts()
    lines = text.strip().splitlines()
    last: str | None = None
    while lines and lines[0].startswith("--"):
        line = lines.pop(0)
        more, head = _MORE.match(line), _HEAD.match(line)
        if last is not None and more is not None:
            parts.said[last] += " " + more[1]
            continue
        last = None
        if head is None:
            continue
        word, said = head[1], head[2]
        if word in _FLAGS and said is None:
            parts.flags.add(word)
        elif word in ("first", "columns") and said and word not in parts.said:
            parts.said[word], last = said.strip(), word
        else:
            raise ValueError(f"{where}: unknown head {line!r}")
    parts.lines = lines
    return parts


def _put_in(said: str | None, where: str, lists: Lists) -> tuple[tuple[str, ...], str | None]:
    """The columns with the lists put in, and the list that they begin with, but for the fence's."""
    columns: list[str] = []
    leading: str | None = None
    for column in () if said is None else _columns(said):
        found = _PUT_IN.match(column)
        if found is None:
            columns.append(column)
            continue
        name, table = found[1], found[2]
        if name not in lists:
            raise ValueError(f"{where}: unknown list {{{name}}}; expected one of {', '.join(sorted(lists))}")
        if _called(lists[name], where) != FENCE:
            if _called(tuple(columns), where) not in ((), FENCE):
                raise ValueError(f"{where}: the list {name} stands behind other columns; expected it before them")
            leading = name
        columns += [re.sub(r"\brow\.", f"{table}." if table else "", each) for each in lists[name]]
    return tuple(columns), leading


def _columns(text: str) -> tuple[str, ...]:
    """The parts between commas that no parenthesis holds."""
    columns, depth, start = [], 0, 0
    for place, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            columns.append(text[start:place].strip())
            start = place + 1
    columns.append(text[start:].strip())
    return tuple(columns)


def _called(columns: tuple[str, ...], where: str) -> tuple[str, ...]:
    """The names of the columns."""
    names: list[str] = []
    for column in columns:
        found = _CALLED.search(column)
        if found is None or found[1] in names:
            raise ValueError(f"{where}: the column {column!r} has no name of its own; expected `… AS name`")
        names.append(found[1])
    return tuple(names)
