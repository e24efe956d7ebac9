"""Rows of the queries `schemas_search`, read by the names of their columns: all begin with the list `candidate`."""

from __future__ import annotations

from operator import itemgetter

from tierstore.backends import Row
from tierstore.plan.search import Key
from tierstore.sql import places

AT = places("candidate")
ID, SUBJECT, DESCRIPTION, SEARCH_TEXT, METADATA = (
    AT[name] for name in ("id", "subject", "description", "search_text", "metadata")
)
REGISTERED_AT, SEEN = AT["at"], AT["seen"]
_MAJOR, _MINOR, _PATCH, _PRERELEASE_KEY = (
    AT[name] for name in ("version_major", "version_minor", "version_patch", "prerelease_key")
)
texts_of = itemgetter(SUBJECT, DESCRIPTION, SEARCH_TEXT)
"""What the score of a row depends on."""


def key_of(row: Row) -> Key:
    """Where the row lies in the order of hits."""
    return Key(row[SUBJECT], row[_MAJOR], row[_MINOR], row[_PATCH], bytes(row[_PRERELEASE_KEY]))


def indexed_of(row: Row) -> tuple[str, str, int, int, int, bytes, str, str]:
    """The row as `SearchIndex.add` takes it."""
    return (row[ID], *key_of(row), row[DESCRIPTION], row[SEARCH_TEXT])
