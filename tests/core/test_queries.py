"""What a query says of itself in its head, and what the loader refuses."""

from __future__ import annotations

import pytest

from tierstore import sql
from tierstore.sql import DIALECTS, Query, load_queries, places
from tierstore.sql.query import parameters, parse_lists, parse_queries

LISTS = """-- Of things.
--
-- list: fence = row.value + 1 AS as_of, row.value AS ceiling
-- list: thing =
--     row.id::text AS id, row.name,
--     (extract(epoch FROM row.made) * 1000000, 1) AS made

-- name: find
SELECT 1
"""


def parsed(text: str) -> Query:
    return parse_queries(f"-- name: find\n{text}", "things.sql", parse_lists(LISTS, "things.sql"))["find"]


def test_a_query_without_a_head():
    found = parsed("SELECT '{}', x::text FROM t WHERE a = :a AND b = %(b)s AND c = :a;\n")
    assert found == Query("SELECT '{}', x::text FROM t WHERE a = :a AND b = %(b)s AND c = :a")
    assert parameters(found.text) == ("a", "b")


def test_flags_and_remarks():
    found = parsed(
        "-- slow\n-- A remark: with a colon.\n-- first: owners.touch\n-- each\nDELETE FROM t\n-- inside\nWHERE a\n"
    )
    assert (found.slow, found.first, found.each, found.fenced) == (True, "owners.touch", True, False)
    assert found.text == "DELETE FROM t\n-- inside\nWHERE a"


def test_nothing_to_do():
    assert parsed("-- nothing\n-- There is no such thing here.\n").text == ""


def test_columns_are_put_in_and_named():
    found = parsed(
        "-- columns: {thing of t}, CASE WHEN a THEN b END AS body,\n--     t.c\nSELECT {columns}\nFROM {schema}.things AS t"
    )
    assert found.text == (
        "SELECT t.id::text AS id, t.name, (extract(epoch FROM t.made) * 1000000, 1) AS made, CASE WHEN a THEN b END AS body, t.c\n"
        "FROM {schema}.things AS t"
    )
    assert found.columns == ("id", "name", "made", "body", "c")
    assert found.leading == "thing"
    assert parsed("-- columns: {thing}\nUPDATE t RETURNING {columns}").text.startswith(
        "UPDATE t RETURNING id::text AS id, name,"
    )


def test_a_fence_comes_before_the_list():
    found = parsed("-- fenced\n-- columns: {fence of f}, {thing of t}\nSELECT {columns} FROM f")
    assert found.fenced
    assert found.columns == ("as_of", "ceiling", "id", "name", "made")
    assert found.leading == "thing"


REFUSED = {
    "-- fencd\nSELECT 1": "unknown head '-- fencd'",
    "-- fenced: yes\nSELECT 1": "unknown head '-- fenced: yes'",
    "-- first\nSELECT 1": "unknown head '-- first'",
    "-- first: a.b\n-- first: a.c\nSELECT 1": "unknown head '-- first: a.c'",
    "-- fenced\nSELECT as_of, ceiling": "begin with as_of, ceiling",
    "-- fenced\n-- columns: {thing of t}\nSELECT {columns}": "begin with as_of, ceiling; got id, name",
    "-- fenced\n-- columns: f.ceiling, f.as_of\nSELECT {columns}": "begin with as_of, ceiling; got ceiling, as_of",
    "-- columns: {thng of t}\nSELECT {columns}": "unknown list {thng}; expected one of fence, thing",
    "-- columns: t.a, {thing of t}\nSELECT {columns}": "the list thing stands behind other columns",
    "-- columns: {thing of t}, t.name\nSELECT {columns}": "'t.name' has no name of its own",
    "-- columns: {thing of t}, count(*)\nSELECT {columns}": r"'count\(\*\)' has no name of its own",
    "-- columns: {thing of t}\nSELECT t.id": r"expected \{columns\} once",
    "-- columns: t.a\nSELECT {columns}, {columns}": r"expected \{columns\} once",
    "SELECT {columns}": r"unknown \{columns\}",
    "SELECT {thing of t}": r"unknown \{thing of t\}",
    "": "is empty",
    "-- name: Find\nSELECT 2": "unknown head '-- name: Find'",
    "-- list: a = row.b\nSELECT 2": "unknown head",
    "-- slow": "is empty",
    "-- nothing\nSELECT 1": "says `-- nothing`, and has a text",
    "SELECT 1\n-- name: find\nSELECT 2": "is given twice",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_wrong_is_named_with_file_and_query(text: str):
    with pytest.raises(ValueError, match=rf"^things\.sql: query find.*{REFUSED[text]}"):
        parsed(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SELECT 1\n-- name: find\nSELECT 1", "text before the first"),
        ("-- lists: a = b\n-- name: find\nSELECT 1", "unknown head '-- lists: a = b' above the first query"),
    ],
)
def test_what_stands_above_the_first_query(text: str, message: str):
    with pytest.raises(ValueError, match=rf"^things\.sql: {message}"):
        parse_queries(text, "things.sql", {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("-- list: a = row.b\n-- list: a = row.c\n", "the list a is given twice"),
        ("-- list: a = count(*)\n", "list a: the column"),
    ],
)
def test_a_wrong_list(text: str, message: str):
    with pytest.raises(ValueError, match=rf"^things\.sql: {message}"):
        parse_lists(text, "things.sql")


class Planted:
    """Files of queries in the place of those that are there; a dialect that is not given has none."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch

    def __call__(self, **files: dict[str, str]) -> None:
        class Entry:
            def __init__(self, name: str, text: str) -> None:
                self.name, self._text = name, text

            def read_text(self, _encoding: str) -> str:
                return self._text

        def entries(dialect: str, _folder: str) -> list[Entry]:
            return [Entry(f"{name}.sql", text) for name, text in files.get(dialect, {}).items()]

        self._patch.setattr(sql, "_entries", entries)
        load_queries.cache_clear()
        places.cache_clear()


@pytest.fixture
def planted(monkeypatch):
    yield Planted(monkeypatch)
    load_queries.cache_clear()
    places.cache_clear()


def test_lists_are_shared_by_the_files_of_a_dialect(planted):
    use = "-- name: get\n-- columns: {thing of t}\nSELECT {columns} FROM t"
    planted(sqlite={"a": use, "things": LISTS})
    assert load_queries("sqlite")["a.get"].columns == ("id", "name", "made")
    planted(sqlite={"a": LISTS, "things": LISTS})
    with pytest.raises(ValueError, match=r"things\.sql: the list fence is given in another file too"):
        load_queries("sqlite")


@pytest.mark.parametrize("first", ["a.nothing", "a.two"])
def test_what_runs_first_is_there_and_runs_alone(planted, first):
    text = f"-- name: one\n-- first: {first}\nSELECT 1\n-- name: two\n-- first: a.three\nSELECT 2\n-- name: three\nSELECT 3"
    planted(postgres={"a": text})
    with pytest.raises(ValueError, match=rf"a\.one says `-- first: {first}`"):
        load_queries("postgres")


def query(columns: str) -> str:
    return f"-- name: find\n-- columns: {columns}\nSELECT {{columns}} FROM t"


def test_places_are_the_same_in_every_query_of_both_dialects(planted):
    one = {"a": "-- list: thing = row.id, row.name\n" + query("{thing of t}, t.body")}
    fenced = query("0 AS as_of, 1 AS ceiling, {thing of t}, t.body, t.owner").replace(
        "-- columns", "-- fenced\n-- columns"
    )
    planted(sqlite=one, postgres=one | {"b": fenced})
    assert places("thing") == {"id": 0, "name": 1, "body": 2, "owner": 3}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_column_of_one_dialect_only_is_refused(planted, dialect):
    here = {"a": "-- list: thing = row.id, row.name\n" + query("{thing of t}, t.body")}
    more = {"a": "-- list: thing = row.id, row.extra, row.name\n" + query("{thing of t}, t.body")}
    planted(**{other: more if other == dialect else here for other in DIALECTS})
    with pytest.raises(ValueError, match=r"a\.find \(postgres\): the column name stands at"):
        places("thing")


def test_a_column_in_two_places_is_refused(planted):
    text = "-- list: thing = row.id\n" + query("{thing of t}, t.body") + "\n" + query("{thing of t}, t.more, t.body")
    planted(sqlite={"a": text.replace("find", "get", 1)})
    with pytest.raises(ValueError, match=r"a\.find \(sqlite\): the column body stands at 2; expected 1"):
        places("thing")
