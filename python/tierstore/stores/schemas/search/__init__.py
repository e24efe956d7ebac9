"""Search: `query` (what is asked), `candidates` by the database or by `text_index` in memory, `pages` (hits, order, cursors)."""

from __future__ import annotations

from tierstore.stores.schemas.search.pages import search
from tierstore.stores.schemas.search.query import query_of
from tierstore.stores.schemas.search.text_index import TextIndex

__all__ = ["TextIndex", "query_of", "search"]
