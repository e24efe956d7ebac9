"""The cached kinds of the schema store: by id, by subject and version, and the latest of a subject, with and without pre-releases.

A key is what the caller passes (an id, a pair, a subject), so that a hit formats nothing. Every write names the keys that it may have
changed: the id at the row's row_version, and those derived from the subject at the subject's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tierstore._native import Version
from tierstore.backends import Row
from tierstore.calls.scope import Loading, Scope
from tierstore.plan.schemas import LATEST_STATES
from tierstore.plan.versions import pair_of, pair_text
from tierstore.records import attach
from tierstore.stores.schemas import reads
from tierstore.stores.schemas.model import Derived, Schema
from tierstore.stores.schemas.rows import ID, OWNER_VERSION, ROW_VERSION, SUBJECT, identity_of, is_deleted
from tierstore.tiers.engine import Engine
from tierstore.tiers.kind import ABSENT, ENTRY_BYTES, Absence, Found, K, Kind, Load, Loaded, Part, Source
from tierstore.tiers.transaction import Transaction

STORE = "schemas"


class Kinds:
    """The four kinds over one engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.by_id = engine.kind(
            Kind("schema", Schema, _load_ids, weigh=_weigh_schema, store=STORE, operation="get", is_partial=_is_large)
        )
        by_version = _derived_kind("schema_version", _load_versions, pair_text, pair_of, operation="get_version")
        self.by_version = engine.kind(by_version)
        self.latest = engine.kind(_derived_kind("schema_latest", _load_latest, operation="get_latest"))
        self.latest_any = engine.kind(_derived_kind("schema_latest_any", _load_latest_any))
        self.all = (self.by_id, self.by_version, self.latest, self.latest_any)

    def changed(self, write: Transaction, identifier: str, subject: str, version: str, *, row: int, owner: int) -> None:
        """Every key that a change of this schema may have changed."""
        write.changed(self.by_id, identifier, row)
        write.changed(self.by_version, (subject, version), owner)
        write.changed(self.latest, subject, owner)
        write.changed(self.latest_any, subject, owner)

    def seen(self, write: Transaction, identifier: str, subject: str, version: str, *, row: int, owner: int) -> None:
        """What a call answers of this schema that it found as it is, or did not find."""
        write.seen(self.by_id, identifier, row)
        write.seen(self.by_version, (subject, version), owner)
        write.seen(self.latest, subject, owner)
        write.seen(self.latest_any, subject, owner)

    def shown(self, scope: Scope, rows: Sequence[Row]) -> bool:
        """What a list or search answers. `Scope.shown` says the rest.

        A deletion has no row_version that a look-up by version could show, but its subject has one.
        """
        there = [row for row in rows if row[ID] is not None]
        versions = {
            (row[SUBJECT], identity_of(row)): row[OWNER_VERSION] if is_deleted(row) else row[ROW_VERSION]
            for row in there
        }
        owners = {row[SUBJECT]: row[OWNER_VERSION] for row in there}
        shown = [
            scope.shown(self.by_id, {row[ID]: row[ROW_VERSION] for row in there}),
            scope.shown(self.by_version, versions),
        ]
        return all(shown + [scope.shown(kind, owners) for kind in (self.latest, self.latest_any)])


def _derived_kind(
    name: str,
    load: Load[K],
    l2_key: Callable[[K], str] = str,
    parse: Callable[[str], Any] = str,
    *,
    operation: str = "",
) -> Kind[K, Derived]:
    return Kind(
        name,
        Derived,
        load,
        l2_key,
        parse,
        version=_owner,
        weigh=_weigh_derived,
        store=STORE,
        operation=operation,
        is_partial=_is_large_or_absent,
        part=Part("schema", _schema_key),
    )


def _schema_key(derived: Derived) -> tuple[str, int]:
    return derived.schema.id, derived.schema.row_version


def _is_large(schema: Schema | Absence) -> bool:
    """Whether the content lies outside the row: L1 alone does not answer then."""
    return schema is not ABSENT and schema.placement != "inline"


def _is_large_or_absent(derived: Derived | Absence) -> bool:
    return derived is ABSENT or _is_large(derived.schema)


def schema_in(derived: Derived) -> Schema:
    """The schema, with what the tier says of this reading."""
    schema = derived.schema
    attach(schema, derived.meta)
    return schema


def _owner(derived: Derived) -> int:
    return int(derived.owner_version)


def _weigh_schema(schema: Schema) -> int:
    return ENTRY_BYTES + len(schema.content) + len(schema.metadata_json)


def _weigh_derived(derived: Derived) -> int:
    return _weigh_schema(derived.schema)


async def _load_ids(keys: list[str], source: Source) -> Loaded:
    loading = Loading(source)
    found = await reads.by_ids(loading.fetch, keys)
    return loading.loaded(dict(zip(keys, found, strict=True)))


async def _load_versions(keys: list[tuple[str, str]], source: Source) -> Loaded:
    loading = Loading(source)
    found = await reads.by_versions(loading.fetch, [(subject, Version(text)) for subject, text in keys])
    return loading.loaded(_derived(keys, found))


async def _load_latest(keys: list[str], source: Source) -> Loaded:
    return await _latest(keys, source, prerelease=False)


async def _load_latest_any(keys: list[str], source: Source) -> Loaded:
    return await _latest(keys, source, prerelease=True)


async def _latest(keys: list[str], source: Source, *, prerelease: bool) -> Loaded:
    loading = Loading(source)
    found = await reads.latest(loading.fetch, keys, prerelease=prerelease, states=LATEST_STATES)
    return loading.loaded(_derived(keys, found))


def _derived(keys: Sequence[K], found: Sequence[Found[Schema]]) -> dict[K, Found[Derived]]:
    return {key: _of(each.record, each.version) for key, each in zip(keys, found, strict=True)}


def _of(schema: Schema | None, owner: int) -> Found[Derived]:
    """A write takes the subject's row_version before the schema's and holds it, so the later of both orders what is derived as well.

    By it a row that somebody was shown is told from what was there before, whatever else of the subject has changed since.
    """
    if schema is None:
        return Found(None, owner)
    version = max(owner, schema.row_version)
    return Found(Derived(version, schema), version)
