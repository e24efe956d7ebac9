"""The module store's calls under the names of the interface before it, on either face, for code that still uses them.

    legacy = tierstore.LegacyModules(store.modules)
    await legacy.get_module("acme/common")              # as store.modules.get, and a DeprecationWarning

No call takes `timeout=`: each has the time that `Deadlines` gives it. Over `tierstore.blocking` the same calls return at once, without
`await`.
"""

from __future__ import annotations

import warnings
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

from tierstore.errors import ValidationError
from tierstore.plan.arguments import shown
from tierstore.plan.paging import Page
from tierstore.stores.modules.model import Module, ModuleVersion, ModuleVersionInfo

_T = TypeVar("_T")
Answer = Coroutine[Any, Any, _T]
UPDATED = ("description", "tags", "metadata")
"""What `update_version` may be given."""


class LegacyModules:
    """The earlier names of calls of `store.modules`, which it stands before. Each warns, once for each line that makes it."""

    def __init__(self, modules: Any) -> None:
        if not callable(getattr(modules, "create_version", None)):
            text = f"modules must be store.modules of an open store, not {type(modules).__name__}"
            raise ValidationError(text, place="modules")
        self._modules = modules

    def create_module(self, name: str, description: str = "") -> Answer[Module]:
        """As `store.modules.create`."""
        _warn("create_module", "create")
        made: Answer[Module] = self._modules.create(name, description=description)
        return made

    def get_module(self, name: str) -> Answer[Module | None]:
        """As `store.modules.get`."""
        _warn("get_module", "get")
        found: Answer[Module | None] = self._modules.get(name)
        return found

    def list_modules(self, *, limit: int = 100, after: str | None = None) -> Answer[Page[Module]]:
        """As `store.modules.list`."""
        _warn("list_modules", "list")
        page: Answer[Page[Module]] = self._modules.list(limit=limit, after=after)
        return page

    def create_version(self, name: str, version: str, files: Mapping[str, bytes]) -> Answer[ModuleVersion]:
        """As `store.modules.create_version(..., state="published", allow_unresolved=True)`: there were no drafts."""
        _warn("create_version", "create_version")
        made: Answer[ModuleVersion] = self._modules.create_version(
            name, version, files, state="published", allow_unresolved=True
        )
        return made

    def get_version(self, name: str, version: str) -> Answer[ModuleVersion | None]:
        """As `store.modules.get_version`."""
        _warn("get_version", "get_version")
        found: Answer[ModuleVersion | None] = self._modules.get_version(name, version)
        return found

    def list_versions(
        self, name: str, *, limit: int = 100, after: str | None = None
    ) -> Answer[Page[ModuleVersionInfo]]:
        """As `store.modules.list_versions`."""
        _warn("list_versions", "list_versions")
        page: Answer[Page[ModuleVersionInfo]] = self._modules.list_versions(name, limit=limit, after=after)
        return page

    def update_version(self, name: str, version: str, updates: Mapping[str, Any]) -> Answer[ModuleVersion]:
        """As `store.modules.update_version`. `updates`: any of description, tags and metadata."""
        _warn("update_version", "update_version")
        for field in updates:
            if field not in UPDATED:
                text = f"updates must have only {', '.join(UPDATED)}, got {shown(field)}"
                raise ValidationError(text, place="updates")
        updated: Answer[ModuleVersion] = self._modules.update_version(name, version, **updates)
        return updated

    def get_file(self, name: str, version: str, path: str) -> Answer[bytes]:
        """As `store.modules.get_file`."""
        _warn("get_file", "get_file")
        content: Answer[bytes] = self._modules.get_file(name, version, path)
        return content


def _warn(old: str, new: str) -> None:
    """At the line that made the call, before there is a coroutine: whoever awaits it may stand elsewhere."""
    text = f"LegacyModules.{old} is deprecated; use store.modules.{new}, which takes timeout="
    warnings.warn(text, DeprecationWarning, stacklevel=3)
