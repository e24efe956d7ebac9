"""From what a caller wants registered to what the database is given: checked, hashed, routed, projected."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tierstore._native import Placement, SizeRouter, Version, search_text, uuid7
from tierstore.errors import StorageError, ValidationError, raise_alone
from tierstore.plan.arguments import in_list, shown
from tierstore.plan.schemas import LIFECYCLE, projection
from tierstore.plan.values import as_bytes, check_id, check_name, describe
from tierstore.plan.versions import as_version, version_identity
from tierstore.stores.schemas.model import SchemaItem, SchemaType
from tierstore.stores.schemas.validation import MAX_CONTENT_BYTES, check_content, check_type

SEARCH_TEXT_BYTES = 4_096
MAX_ITEMS = 10_000
SHOWN_FIELDS = 5
REQUIRED_FIELDS, ITEM_FIELDS = SchemaItem.__required_keys__, frozenset(SchemaItem.__annotations__)


@dataclass(slots=True)
class Registration:
    """One schema on its way in. `params` are those of `schemas_write.register`, the body among them where it goes into the row."""

    index: int | None
    subject: str
    version: Version
    schema_type: SchemaType
    content: bytes
    placement: Placement
    given_id: str | None
    params: dict[str, Any]

    @property
    def id(self) -> str:
        """The id it will have, unless the version is registered already."""
        return str(self.params["id"])

    @property
    def identity(self) -> tuple[str, str]:
        """Subject and version without build metadata: what is registered once."""
        return self.subject, version_identity(self.version)

    def request(self) -> list[Any]:
        """What is asked for, without the id that the store made."""
        params = self.params
        return [
            self.subject,
            str(self.version),
            self.schema_type,
            self.placement.digest,
            params["metadata"],
            params["state"],
            self.given_id,
        ]


def check_items(items: object) -> list[dict[str, Any]]:
    """The items of a batch as mappings with known fields only."""
    if isinstance(items, (str, bytes, Mapping)) or not isinstance(items, Sequence):
        raise ValidationError(
            f"items must be a list of mappings with the arguments of register, not {type(items).__name__}",
            place="items",
        )
    if len(items) > MAX_ITEMS:
        raise ValidationError(f"items must have at most {MAX_ITEMS} entries, got {len(items)}", place="items")
    for index, item in enumerate(items):
        if not isinstance(item, Mapping):
            raise ValidationError(
                f"an item must be a mapping with the arguments of register, not {type(item).__name__}",
                place=f"items[{index}]",
            )
        unknown = set(itertools.islice(item, len(ITEM_FIELDS) + 1)) - ITEM_FIELDS
        missing = REQUIRED_FIELDS - item.keys()
        if unknown or missing:
            few = sorted(map(shown, itertools.islice(unknown, SHOWN_FIELDS)))
            text = f"unknown: {few}, missing: {sorted(missing)}"
            raise ValidationError(f"an item must have the arguments of register ({text})", place=f"items[{index}]")
    return [dict(item) for item in items]


def at_index(error: StorageError, index: int | None) -> StorageError:
    """Name the item of the batch in the error."""
    return error if index is None else in_list(error, "items", index)


def bytes_in(items: Sequence[Mapping[str, Any]]) -> int:
    """How much content there is to check."""
    return sum(len(item["content"]) for item in items if isinstance(item["content"], (bytes, bytearray, memoryview)))


def prepare_many(items: Sequence[Mapping[str, Any]], router: SizeRouter, batch: bool) -> list[Registration]:
    """All items checked. The error of the first wrong one names its index, where it is a batch. CPU only; O(bytes)."""
    prepared = []
    for number, item in enumerate(items):
        index = number if batch else None
        try:
            prepared.append(prepare(router, index=index, **item))
        except StorageError as error:
            raise_alone(at_index(error, index))
    return prepared


def prepare(
    router: SizeRouter,
    *,
    subject: object,
    version: object,
    content: object,
    schema_type: object = "json",
    metadata: object = None,
    description: object = "",
    tags: object = (),
    state: object = "active",
    id: object = None,
    index: int | None = None,
) -> Registration:
    """One item checked, cheap checks first. ValidationError or InvalidKeyError, with the place."""
    subject, parsed = check_name(subject, "subject"), as_version(version)
    checked_type, state = check_type(schema_type), LIFECYCLE.check_state(state)
    described = describe(metadata, description, tags)
    given_id = None if id is None else check_id(id)
    body = as_bytes(content, "content", MAX_CONTENT_BYTES)
    check_content(checked_type, body)
    placement = router.route(body)
    params = {
        "id": given_id or uuid7(),
        "subject": subject,
        "major": parsed.major,
        "minor": parsed.minor,
        "patch": parsed.patch,
        "prerelease": parsed.prerelease,
        "build": parsed.build,
        "prerelease_key": parsed.key,
        "schema_type": checked_type,
        "state": state,
        "content": projection(checked_type, body),
        "metadata": described.metadata,
        "search_text": search_text(checked_type, body, SEARCH_TEXT_BYTES),
        "body": body if placement.tier == "inline" else None,
        "digest": placement.digest,
        "size": placement.size,
        "tier": placement.tier,
    }
    return Registration(index, subject, parsed, checked_type, body, placement, given_id, params)


def columns(registrations: Sequence[Registration]) -> dict[str, list[Any]]:
    """The parameters of `schemas_write.register_many`: a list a column."""
    return {plural: [registration.params[name] for registration in registrations] for name, plural in _PLURALS.items()}


_PLURALS = {
    "id": "ids",
    "subject": "subjects",
    "major": "majors",
    "minor": "minors",
    "patch": "patches",
    "prerelease": "prereleases",
    "build": "builds",
    "prerelease_key": "prerelease_keys",
    "schema_type": "schema_types",
    "state": "states",
    "content": "contents",
    "metadata": "metadatas",
    "search_text": "search_texts",
    "body": "bodies",
    "digest": "digests",
    "size": "sizes",
    "tier": "tiers",
}
