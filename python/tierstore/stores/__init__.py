"""The roster: every store, on one line each. Whatever has to do with all stores walks it, and names none of them."""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from typing import Any, get_type_hints

from tierstore.calls.scope import Scope
from tierstore.calls.store import BaseStore, Ground, Parts
from tierstore.stores.modules import ModuleStore
from tierstore.stores.schemas import SchemaStore
from tierstore.stores.state import StateStore


class Stores:
    """One store an attribute. `tierstore.Store` and `tierstore.Transaction` are such: the first outside, the second inside."""

    schemas: SchemaStore
    state: StateStore
    modules: ModuleStore


@functools.cache
def roster() -> Mapping[str, type[BaseStore[Any]]]:
    """The class of each store, by its name."""
    return get_type_hints(Stores)


def on_both_faces() -> tuple[type, ...]:
    """Classes over the stores that ask whatever face they are given: what the stores' packages name `ON_BOTH_FACES`."""
    homes = dict.fromkeys(cls.__module__.rpartition(".")[0] for cls in roster().values())
    return tuple(cls for home in homes for cls in getattr(sys.modules[home], "ON_BOTH_FACES", ()))


def build(ground: Ground) -> dict[str, Parts]:
    """The parts of every store, by its name."""
    return {name: store._parts_class(ground, name) for name, store in roster().items()}


def attach(parts: Mapping[str, Parts], scope: Scope, on: Stores) -> None:
    """Make every store, in that scope, an attribute of `on`."""
    for name, store in roster().items():
        setattr(on, name, store(parts[name], scope))
