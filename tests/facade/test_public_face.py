"""Both faces can be named and read: each type that a public call mentions is exported, each public callable says what it does."""

from __future__ import annotations

import ast
import inspect
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tierstore
from tierstore import blocking

STUB = Path(blocking.__file__).with_suffix(".pyi")
TREE = ast.parse(STUB.read_text())
EXPORTED = {id(getattr(tierstore, name)) for name in tierstore.__all__}
TWINS: dict[type, Any] = blocking._TWINS
CLASSES = [one for one in map(tierstore.__getattr__, set(tierstore.__all__) - {"__version__"}) if isinstance(one, type)]


# What an annotation mentions


def parts(hint: Any) -> Iterator[Any]:
    """The hint and all that stands within it."""
    yield hint
    inner = hint if isinstance(hint, list | tuple) else typing.get_args(hint)
    for each in inner:
        if not isinstance(each, str):
            yield from parts(each)


def own_types(hint: Any) -> Iterator[Any]:
    """The classes and the new types of this package."""
    for each in parts(hint):
        is_type = isinstance(each, type | typing.NewType) and not isinstance(each, types.GenericAlias)
        if is_type and each.__module__.startswith("tierstore"):
            yield each


def public_members(cls: type) -> Iterator[tuple[str, Any]]:
    """What a user calls or reads on an instance, also where a base has it. Class methods are for the library itself."""
    for name, member in inspect.getmembers_static(cls):
        if name.startswith(("_", "hit_")) or isinstance(member, classmethod | staticmethod):
            continue
        if isinstance(member, property):
            yield name, member.fget
        elif inspect.isfunction(member) and member.__module__.startswith("tierstore"):
            yield name, member


def mentioned(cls: type) -> Iterator[tuple[str, Any]]:
    for name, member in public_members(cls):
        for hint in typing.get_type_hints(member, include_extras=True).values():
            yield from ((f"{cls.__name__}.{name}", each) for each in own_types(hint))
    for name, hint in typing.get_type_hints(cls, include_extras=True).items():
        if not name.startswith("_"):
            yield from ((f"{cls.__name__}.{name}", each) for each in own_types(hint))


def unexported(classes: list[type]) -> list[str]:
    found = {(where, each) for cls in classes for where, each in mentioned(cls)}
    return sorted(f"{where} mentions {each.__name__}" for where, each in found if id(each) not in EXPORTED)


def test_every_type_that_the_async_face_mentions_is_exported():
    assert {cls.__name__ for cls in TWINS if id(cls) not in EXPORTED} == set()
    assert {"Store", "SchemaStore", "SchemaInfo", "Health", "Page"} <= {cls.__name__ for cls in CLASSES}
    assert unexported(CLASSES) == []
    for function in (tierstore.open, tierstore.blocking.open, tierstore.bounded):
        hints = typing.get_type_hints(function).values()
        assert {each for hint in hints for each in own_types(hint)} - {*CLASSES, tierstore.Bounded} <= {blocking.Store}


def test_a_type_that_is_not_exported_is_found():
    class Hidden:
        __module__ = "tierstore.hidden"

    class Planted:
        held: dict[str, list[Hidden | None]]

        def call(self, *, one: Hidden) -> int: ...

    for where in (Planted, Planted.call):
        where.__annotations__ = {name: eval(hint, {"Hidden": Hidden}) for name, hint in where.__annotations__.items()}
    Planted.call.__module__ = "tierstore.hidden"
    assert unexported([Planted]) == ["Planted.call mentions Hidden", "Planted.held mentions Hidden"]


def test_every_name_that_the_stub_takes_from_the_package_is_exported():
    """Aliases too, which leave no trace in an annotation at run time."""
    taken = {
        name.name for node in TREE.body if isinstance(node, ast.ImportFrom) for name in node.names if _is_own(node)
    }
    assert {"Read", "SchemaState", "SchemaType", "Id", "Page"} <= taken
    assert taken - set(tierstore.__all__) == set()


def _is_own(node: ast.ImportFrom) -> bool:
    return (node.module or "").startswith("tierstore")


# Docstrings


def stubbed() -> Iterator[tuple[str, str | None]]:
    """Each public callable and class of the stub, with its docstring."""
    for node in TREE.body:
        if isinstance(node, ast.ClassDef):
            yield node.name, ast.get_docstring(node)
            for item in node.body:
                if isinstance(item, ast.FunctionDef) and not item.name.startswith("_"):
                    yield f"{node.name}.{item.name}", ast.get_docstring(item)
        elif isinstance(node, ast.FunctionDef):
            yield node.name, ast.get_docstring(node)


STUBBED = dict(stubbed())


def test_every_public_callable_of_the_async_face_has_a_docstring():
    native = {tierstore.Cache, tierstore.Placement, tierstore.SizeRouter}
    silent = [cls.__name__ for cls in CLASSES if not (inspect.getdoc(cls) or cls in native)]
    silent += [
        f"{cls.__name__}.{name}"
        for cls in CLASSES
        for name, member in public_members(cls)
        if not inspect.getdoc(member)
    ]
    assert silent == []


def test_every_public_callable_of_the_stub_has_a_docstring():
    assert [name for name, text in STUBBED.items() if not text] == []
    assert {"SchemaStore.get", "SchemaTransaction.commit", "Store.health", "open"} <= STUBBED.keys()


@pytest.mark.parametrize("name", STUBBED)
def test_the_stub_says_what_the_blocking_face_says_at_run_time(name):
    found: Any = blocking
    for part in name.split("."):
        found = inspect.getattr_static(found, part)
    text = inspect.getdoc(found)
    assert text == STUBBED[name]
    assert "await " not in text
    assert "async with" not in text


def test_help_shows_them(tmp_path):
    with blocking.open(tmp_path) as store:
        bound = store.schemas.get
        assert inspect.getdoc(bound) == inspect.getdoc(tierstore.SchemaStore.get)
        assert list(inspect.signature(bound).parameters) == ["id", "timeout", "read", "not_before"]
        assert inspect.getdoc(store.schemas.transaction).startswith(
            "Begin a transaction, several calls in one commit: `with store.schemas"
        )
