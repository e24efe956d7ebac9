"""Writes `python/tierstore/blocking.pyi` from the async classes: `python -m tests.house.blocking_stub [--check]`."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path
from typing import TypeGuard

from tierstore import blocking
from tierstore.calls.scope import OpenTransaction
from tierstore.calls.store import BaseStore
from tierstore.store import Store, Transaction
from tierstore.stores import Stores, roster

PACKAGE = Path(blocking.__file__).parent
TARGET = PACKAGE / "blocking.pyi"
BLOCKING = {
    "AbstractAsyncContextManager": "AbstractContextManager",
    "AsyncIterator": "Iterator",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
}
HEAD = """# Generated from the async face by `python -m tests.house.blocking_stub`; a test holds it.
from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
"""
TAIL = f"""
def open(config: Config | str | os.PathLike[str] | None = None, *, telemetry: Telemetry = ...) -> Store:
    \"\"\"{blocking.open.__doc__}\"\"\"
"""


def sources() -> dict[str, list[str]]:
    """The classes of the blocking face by the file that holds them; bases come before what is made of them."""
    classes: list[type] = [BaseStore, OpenTransaction, Stores]
    for store in roster().values():
        for made in (store, *store.__subclasses__()):
            classes += [base for base in reversed(made.__mro__) if issubclass(base, BaseStore) and base not in classes]
    found: dict[str, list[str]] = {}
    for each in (*classes, Transaction, Store):
        file = Path(inspect.getfile(each)).relative_to(PACKAGE).as_posix()
        found.setdefault(file, []).append(each.__name__)
    return found


class _ToBlocking(ast.NodeTransformer):
    """Turns an async signature into a blocking one, and a body into `...`."""

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.FunctionDef:
        plain = ast.FunctionDef(**{name: getattr(node, name, None) for name in ast.FunctionDef._fields})
        return self.visit_FunctionDef(ast.copy_location(plain, node))

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.name = BLOCKING.get(node.name, node.name)
        node.args.defaults = [ast.Constant(...) for _ in node.args.defaults]
        node.args.kw_defaults = [None if default is None else ast.Constant(...) for default in node.args.kw_defaults]
        self.generic_visit(node.args)
        if node.returns is not None:
            node.returns = self.visit(node.returns)
        node.body = [ast.Expr(ast.Constant(...))]
        return node

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.copy_location(ast.Name(BLOCKING.get(node.id, node.id), node.ctx), node)


def _docstring(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, owner: str = "") -> list[ast.stmt]:
    """What the blocking face says at run time, as a statement; for a base that has no twin, what its class says."""
    found: object = blocking
    for name in (owner, node.name) if owner else (node.name,):
        found = inspect.getattr_static(found, name, None)
    text = blocking.in_blocking_words(ast.get_docstring(node) or "") if found is None else inspect.getdoc(found)
    return [ast.Expr(ast.Constant(text))] if text else []


def _method(node: ast.FunctionDef | ast.AsyncFunctionDef, owner: str) -> ast.stmt:
    said = _docstring(node, owner)
    made: ast.FunctionDef = _ToBlocking().visit(node)
    made.body = said or made.body
    return made


def _public(node: ast.stmt) -> TypeGuard[ast.FunctionDef | ast.AsyncFunctionDef]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        named = node.name in ("__aenter__", "__aexit__")
        internal = any(isinstance(item, ast.Name) and item.id == "classmethod" for item in node.decorator_list)
        return named or not (node.name.startswith(("_", "hit_")) or internal)
    return False


def _attributes(cls: ast.ClassDef) -> list[ast.stmt]:
    """What `__init__` sets on self without an underscore and with a known annotation."""
    init = next((item for item in cls.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"), None)
    if init is None:
        return []
    given = {argument.arg: argument.annotation for argument in init.args.args}
    found: list[ast.stmt] = []
    for statement in init.body:
        target = statement.target if isinstance(statement, ast.AnnAssign) else getattr(statement, "targets", [None])[0]
        if not isinstance(target, ast.Attribute) or target.attr.startswith("_"):
            continue
        value = statement.value if isinstance(statement, (ast.Assign, ast.AnnAssign)) else None
        named = given.get(value.id) if isinstance(value, ast.Name) else None
        annotation = statement.annotation if isinstance(statement, ast.AnnAssign) else named
        if annotation is not None:
            found.append(ast.AnnAssign(ast.Name(target.attr, ast.Store()), annotation, None, 1))
    return found


def _stores(cls: ast.ClassDef) -> list[ast.stmt]:
    """The roster's lines."""
    return [item for item in cls.body if isinstance(item, ast.AnnAssign)] if cls.name == Stores.__name__ else []


def generate() -> str:
    """The text of the stub, formatted."""
    imports: list[str] = []
    classes: list[str] = []
    files = sources()
    local = {name for names in files.values() for name in names}
    taken = local | {"annotations"}
    for file, names in files.items():
        for node in ast.parse((PACKAGE / file).read_text()).body:
            if isinstance(node, ast.ImportFrom):
                node.names = [item for item in node.names if item.name not in taken]
                taken |= {item.name for item in node.names}
                imports += [ast.unparse(node)] if node.names else []
            elif isinstance(node, ast.ClassDef) and node.name not in names:
                imports.append(f"from tierstore.{file.removesuffix('.py').replace('/', '.')} import {node.name}")
            elif isinstance(node, ast.ClassDef):
                methods = [_method(item, node.name) for item in node.body if _public(item)]
                body = [*_attributes(node), *_stores(node), *methods]
                named = [base.value if isinstance(base, ast.Subscript) else base for base in node.bases]
                bases = [base for base in named if isinstance(base, ast.Name) and base.id in local]
                shell = ast.ClassDef(
                    node.name, bases, [], [*_docstring(node), *body] or [ast.Pass()], [], type_params=[]
                )
                classes.append(ast.unparse(ast.fix_missing_locations(shell)))
    return _formatted(HEAD + "\n".join(dict.fromkeys(imports)) + "\n\n" + "\n\n".join(classes) + "\n" + TAIL)


def _formatted(text: str) -> str:
    ruff = [sys.executable, "-m", "ruff"]
    name = ["--stdin-filename", str(TARGET)]
    fix = [
        *ruff,
        "check",
        "--select",
        "F401,F811,I,PYI,UP",
        "--ignore",
        "PYI044",
        "--fix",
        "--quiet",
        "--exit-zero",
        *name,
        "-",
    ]
    fixed = subprocess.run(fix, input=text, capture_output=True, text=True, check=True).stdout
    return subprocess.run([*ruff, "format", *name, "-"], input=fixed, capture_output=True, text=True, check=True).stdout


def main() -> None:
    text = generate()
    if "--check" not in sys.argv:
        TARGET.write_text(text)
    elif not TARGET.exists() or TARGET.read_text() != text:
        sys.exit("blocking.pyi is not what the async classes give: run `python -m tests.house.blocking_stub`")


if __name__ == "__main__":
    main()
