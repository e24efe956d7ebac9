"""What is searched for: the arguments of a search, checked, and the database's query for each grade of hits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from tierstore.plan.schemas import LIFECYCLE, SchemaStates
from tierstore.plan.search import Words, contains, fts_contains, fts_similar, prefix_ranges, terms, words_of
from tierstore.plan.values import check_metadata, check_name, check_tags, metadata_text
from tierstore.stores.schemas.validation import check_type
from tierstore.tiers.engine import Engine


@dataclass(frozen=True, slots=True)
class Query:
    """What is searched for; `params` are those of every query of `schemas_search`."""

    words: Words | None
    params: dict[str, Any]
    metadata: Mapping[str, Any] | None
    dialect: Literal["sqlite", "postgres"]

    def binding(self) -> list[Any]:
        """What a cursor of this search is bound to."""
        names = ("subject", "states", "schema_type", "tags", "metadata")
        return ["search", None if self.words is None else self.words.text, *(self.params[name] for name in names)]

    def grades(self) -> tuple[str, ...]:
        return ("all",) if self.words is None else self.words.grades()

    def is_filtered(self) -> bool:
        """By what the database has an index for."""
        return any(self.params[name] is not None for name in ("subject", "tags", "metadata"))

    def holds(self, metadata: str | None) -> bool:
        """Whether a row's metadata, where it is given, contains what is asked for: SQLite leaves that to its caller."""
        return metadata is None or self.metadata is None or contains(orjson.loads(metadata), self.metadata)

    def statement(self, grade: str, ranked: Sequence[str] = ()) -> tuple[str, dict[str, Any]]:
        """The query that finds a grade's candidates, and its parameters. `ranked`: the words, the rarest first."""
        if self.words is None:
            return "schemas_search.all", self.params
        params = self.params | terms(self.words, ranked)
        if not self.words.long:
            return "schemas_search.prefix", params | prefix_ranges(self.words)
        if self.dialect == "postgres":
            return f"schemas_search.{grade}", params
        fts = fts_similar(params["lead"]) if grade == "similar" else fts_contains(self.words.long)
        return f"schemas_search.{grade}" + ("_scan" if fts is None else ""), params | {"fts": fts}


def query_of(
    engine: Engine,
    text: object,
    *,
    subject: str | None,
    tags: Sequence[str],
    states: SchemaStates | None,
    schema_type: str | None,
    metadata: Mapping[str, Any] | None,
) -> Query:
    """The arguments of a search, checked."""
    wanted = None if metadata is None else check_metadata(metadata)
    checked_states = LIFECYCLE.check_states(states)
    params: dict[str, Any] = {
        "subject": None if subject is None else check_name(subject, "subject"),
        "states": None if checked_states is None else list(checked_states),
        "schema_type": None if schema_type is None else check_type(schema_type),
        "tags": check_tags(tags) or None,
        "metadata": metadata_text(wanted) if wanted else None,
    }
    return Query(words_of(text), params, wanted or None, engine.dialect)
