"""What a record says of itself in its metadata: the caller's mapping, with the tags and the description in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from tierstore.answers import exposed
from tierstore.plan.values import (
    MAX_DESCRIPTION_CHARACTERS,
    check_metadata,
    check_tags,
    check_text,
    describe,
)

KEPT_APART = ("tags", "description")


class Described:
    """What is kept inside the metadata. Each call builds anew, so that no caller can change what another one reads."""

    __slots__ = ()
    metadata_json: str

    @property
    @exposed
    def metadata(self) -> dict[str, Any]:
        """The mapping it was registered with; `tags` and `description` are in it where there are any."""
        metadata: dict[str, Any] = orjson.loads(self.metadata_json)
        return metadata

    @property
    @exposed
    def tags(self) -> tuple[str, ...]:
        """In the order given, each once."""
        return tuple(self.metadata.get("tags", ()))

    @property
    @exposed
    def description(self) -> str:
        """Empty where there is none."""
        return str(self.metadata.get("description", ""))


class Revision:
    """What an update says anew of the metadata. None: it stays as it is."""

    def __init__(self, description: object, tags: object, metadata: object) -> None:
        """ValidationError, with its place, for a wrong one."""
        self._description = (
            None if description is None else check_text(description, "description", MAX_DESCRIPTION_CHARACTERS)
        )
        self._tags = None if tags is None else check_tags(tags)
        self._metadata: Mapping[str, Any] | None = None if metadata is None else check_metadata(metadata)

    def of(self, current: Mapping[str, Any]) -> str:
        """The metadata from now on, as canonical JSON. Tags and description that a new mapping does not name stay."""
        kept = {name: current[name] for name in KEPT_APART if name in current}
        given = current if self._metadata is None else self._metadata
        revised = {**kept, **given}
        if self._tags is not None:
            revised.pop("tags", None)
        if self._description is not None:
            revised.pop("description", None)
        return describe(revised, self._description or "", self._tags or ()).metadata
