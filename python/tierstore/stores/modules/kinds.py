"""The cached kinds of the module store: modules by name, versions by name and version, and the latest of a name.

All that is cached of a module is ordered by the row_version of its owner row: a write takes a new one, and gives it to what it changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tierstore.backends import Row
from tierstore.calls.scope import Loading
from tierstore.plan.versions import pair_of, pair_text
from tierstore.records import attach
from tierstore.stores.modules.model import Latest, Module, ModuleVersion
from tierstore.stores.modules.rows import MODULE, VERSION, module_of, version_of
from tierstore.tiers.engine import Engine
from tierstore.tiers.kind import ENTRY_BYTES, Found, K, Kind, Loaded, Part, Source
from tierstore.tiers.transaction import Transaction

STORE = "modules"
MODULE_TTL_S, VERSION_TTL_S = 300.0, 3_600.0
"""`CacheConfig.ttl_by_kind` gives others."""
FILE_BYTES = 160
"""What an entry of a list of files weighs, roughly."""


class Kinds:
    """The three kinds over one engine."""

    def __init__(self, engine: Engine) -> None:
        module: Kind[str, Module] = Kind(
            "module",
            Module,
            _load_modules,
            ttl_s=MODULE_TTL_S,
            l2_ttl_s=MODULE_TTL_S,
            weigh=_weigh_module,
            store=STORE,
            operation="get",
        )
        version: Kind[tuple[str, str], ModuleVersion] = Kind(
            "module_version",
            ModuleVersion,
            _load_versions,
            pair_text,
            pair_of,
            ttl_s=VERSION_TTL_S,
            l2_ttl_s=VERSION_TTL_S,
            weigh=_weigh_version,
            store=STORE,
            operation="get_version",
        )
        latest: Kind[str, Latest] = Kind(
            "module_latest",
            Latest,
            _load_latest,
            version=_owner,
            ttl_s=VERSION_TTL_S,
            l2_ttl_s=VERSION_TTL_S,
            weigh=_weigh_latest,
            store=STORE,
            part=Part("module_version", _version_key),
        )
        self.by_name, self.by_version, self.latest = engine.kind(module), engine.kind(version), engine.kind(latest)

    def module_changed(self, write: Transaction, name: str, owner: int) -> None:
        """The module itself."""
        write.changed(self.by_name, name, owner)

    def version_changed(self, write: Transaction, name: str, version: str, owner: int) -> None:
        """Every key that a change of this version may have changed."""
        write.changed(self.by_version, (name, version), owner)
        write.changed(self.latest, name, owner)


def latest_in(latest: Latest) -> ModuleVersion:
    """The version, with what the tier says of this reading."""
    found = latest.found
    attach(found, latest.meta)
    return found


def identity_of(version: ModuleVersion) -> str:
    """Its version without build metadata."""
    return version.version.partition("+")[0]


def _version_key(latest: Latest) -> tuple[tuple[str, str], int]:
    found = latest.found
    return (found.module, identity_of(found)), found.row_version


def _owner(latest: Latest) -> int:
    return int(latest.owner_version)


def _weigh_module(module: Module) -> int:
    return ENTRY_BYTES + len(module.metadata_json)


def _weigh_version(version: ModuleVersion) -> int:
    return ENTRY_BYTES + len(version.metadata_json) + FILE_BYTES * version.file_count


def _weigh_latest(latest: Latest) -> int:
    return _weigh_version(latest.found)


async def _load_modules(keys: list[str], source: Source) -> Loaded:
    loading = Loading(source)
    rows = await loading.fetch("modules.get_many", {"names": keys})
    return loading.loaded(_found(keys, rows, MODULE, _module))


async def _load_versions(keys: list[tuple[str, str]], source: Source) -> Loaded:
    loading = Loading(source)
    params = {"names": [name for name, _ in keys], "versions": [version for _, version in keys]}
    rows = await loading.fetch("modules.get_versions", params)
    return loading.loaded(_found(keys, rows, VERSION, _version))


async def _load_latest(keys: list[str], source: Source) -> Loaded:
    loading = Loading(source)
    rows = await loading.fetch("modules.get_latest", {"names": keys})
    return loading.loaded(_found(keys, rows, VERSION, _latest))


def _found(keys: Sequence[K], rows: Sequence[Row], at: Mapping[str, int], record_of: Any) -> dict[K, Found[Any]]:
    """By key. What is not there has the owner's row_version, which a write of it would exceed."""
    found: dict[K, Found[Any]] = {}
    for row in rows:
        owner = row[at["owner_version"]] or 0
        found[keys[row[at["number"]] - 1]] = Found(None, owner) if row[0] is None else record_of(row, owner)
    return found


def _module(row: Row, _owner: int) -> Found[Module]:
    return Found(module_of(row), row[MODULE["row_version"]])


def _version(row: Row, _owner: int) -> Found[ModuleVersion]:
    return Found(version_of(row, row[VERSION["files"]]), row[VERSION["row_version"]])


def _latest(row: Row, owner: int) -> Found[Latest]:
    return Found(Latest(owner, version_of(row, row[VERSION["files"]])), owner)
