"""Writes `python/tierstore/blocking.pyi` from the async classes: `python -m tests.house.blocking_stub [--check]`."""

from __future__ import annotations

import ast
import builtins
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any, TypeGuard

from tierstore import blocking
from tierstore.store import Store, Transaction
from tierstore.stores import Stores, on_both_faces

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
from datetime import timedelta
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar, overload
"""
TAIL = f"""
def open(config: Config | str | os.PathLike[str] | None = None, *, telemetry: Telemetry = ...) -> Store:
    \"\"\"{blocking.open.__doc__}\"\"\"
"""


def public() -> list[type]:
    """The async classes that the blocking face has twins of; a base comes before what is made of it."""
    return sorted(blocking._TWINS, key=lambda cls: (cls is Store, cls is Transaction, len(cls.__mro__)))


def made_of(cls: type) -> tuple[type | None, list[type]]:
    """The public base of a class, if it has one, and the classes whose members are its own, bases first."""
    base = next((each for each in cls.__mro__[1:] if each in blocking._TWINS), None)
    covered = set() if base is None else set(base.__mro__)
    return base, [
        each for each in reversed(cls.__mro__) if each not in covered and each.__module__.startswith("tierstore")
    ]


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


def _methods(cls: ast.ClassDef, owner: str) -> dict[str, list[ast.stmt]]:
    """By name: the overloads of a method where it has some, in a stub without what they are overloads of."""
    found: dict[str, list[ast.stmt]] = {}
    for item in cls.body:
        if _public(item) and (_is_overload(item) or item.name not in found):
            found.setdefault(item.name, []).append(_method(item, owner))
    return found


def _is_overload(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(isinstance(item, ast.Name) and item.id == "overload" for item in node.decorator_list)


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


def _on_both_faces(taken: list[str]) -> list[str]:
    """The classes that are the same on both faces, with answers in place of coroutines."""
    files = dict.fromkeys(inspect.getfile(cls) for cls in on_both_faces())
    return [line for file in files for line in _of_file(Path(file)) if line not in taken]


def _of_file(file: Path) -> list[str]:
    module, wanted = ast.parse(file.read_text()), {cls.__name__ for cls in on_both_faces()}
    variables = [node for node in module.body if isinstance(node, ast.Assign) and "TypeVar(" in ast.unparse(node)]
    classes = [node for node in module.body if isinstance(node, ast.ClassDef) and node.name in wanted]
    for node in classes:
        node.body = [*_docstring(node), *(made for item in node.body for made in _answering(item, node))]
    return [ast.unparse(ast.fix_missing_locations(_Answering().visit(node))) for node in (*variables, *classes)]


class _Answering(ast.NodeTransformer):
    """`Answer[X]` is X where nothing is awaited."""

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        return node.slice if isinstance(node.value, ast.Name) and node.value.id == "Answer" else node


def _overloaded(cls: ast.ClassDef) -> set[str]:
    return {item.name for item in cls.body if isinstance(item, ast.FunctionDef) and _is_overload(item)}


def _answering(item: ast.stmt, cls: ast.ClassDef) -> list[ast.stmt]:
    """One member of such a class: a method's signature, or the type of a field and of its calls."""
    if isinstance(item, ast.FunctionDef):
        is_implementation = item.name in _overloaded(cls) and not _is_overload(item)
        internal = item.name.startswith("_") and item.name not in ("__init__", "__call__", "__get__")
        if internal or is_implementation:
            return []
        return [_ToBlocking().visit(item) if item.name.startswith("_") else _method(item, cls.name)]
    if isinstance(item, ast.AnnAssign):
        return [ast.AnnAssign(item.target, item.annotation, None, 1)]
    if not isinstance(item, ast.Assign) or not isinstance(item.value, ast.Call):
        return []
    if not isinstance(names := item.targets[0], ast.Tuple):
        made, of = ast.unparse(item.value.func), ast.unparse(item.value.args[0])
        return ast.parse(f"{ast.unparse(names)}: {made}[{of}]").body
    field = getattr(getattr(blocking, cls.name), ast.unparse(item.value.func).removesuffix(".calls"))
    of = field.type.__name__
    types = (f"Storing[{of}]", f"Asking[{of}]", f"Asking[{of} | None]", "Asking[bool]")
    lines = [f"{ast.unparse(name)}: Call[{one}]" for name, one in zip(names.elts, types, strict=True)]
    return ast.parse("\n".join(lines)).body


def generate() -> str:
    """The text of the stub, formatted."""
    imports: list[str] = []
    classes: list[str] = []
    taken = {cls.__name__ for cls in public()} | {"annotations"}
    for cls in public():
        base, parts = made_of(cls)
        members: dict[str, list[ast.stmt]] = {}
        for part in parts:
            node, lines = _source(part, taken)
            imports += lines
            named = [(item.target.id, item) for item in (*_attributes(node), *_stores(node)) if _is_named(item)]
            members |= {name: [item] for name, item in named} | _methods(node, cls.__name__)
        last = sorted(
            members, key=lambda name: hasattr(builtins, name)
        )  # behind `def list`, list[…] is no type any more
        body = [*_docstring(_source(cls, taken)[0]), *(item for name in last for item in members[name])]
        bases = [] if base is None else [ast.Name(base.__name__)]
        shell = ast.ClassDef(cls.__name__, bases, [], body or [ast.Pass()], [], type_params=[])
        classes.append(ast.unparse(ast.fix_missing_locations(shell)))
    classes += _on_both_faces(imports)
    first = sorted(dict.fromkeys(imports), key=lambda line: not line.startswith(("from ", "import ")))
    return _formatted(HEAD + "\n".join(first) + "\n\n" + "\n\n".join(classes) + "\n" + TAIL)


def _source(cls: type, taken: set[str]) -> tuple[ast.ClassDef, list[str]]:
    """The statement of a class, and the imports that its signatures may need. A name is `taken` from one place only."""
    file = Path(inspect.getfile(cls))
    module = ".".join(("tierstore", *file.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
    lines, variables, found = [], [], None
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.ImportFrom):
            node.names = [item for item in node.names if item.name not in taken]
            taken |= {item.name for item in node.names}
            lines += [ast.unparse(node)] if node.names else []
        elif isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("TypeVar("):
            variables.append(node)
        elif isinstance(node, ast.ClassDef) and node.name == cls.__name__:
            found = node
        elif isinstance(node, ast.ClassDef) and node.name not in taken:
            lines.append(f"from {module} import {node.name}")
    assert found is not None, f"{file} has no class {cls.__name__}"
    named = {each.id for item in found.body if _public(item) for each in ast.walk(item) if isinstance(each, ast.Name)}
    return found, lines + [ast.unparse(node) for node in variables if {ast.unparse(node.targets[0])} <= named - taken]


def _is_named(item: ast.stmt) -> TypeGuard[Any]:
    return isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)


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
