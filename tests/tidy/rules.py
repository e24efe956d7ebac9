"""The house's rules, each a function from a tree of files to complaints `path:line text`. `test_tidy.py` runs them and proves each.

A rule sees the tree as {path: text}, so that a planted violation is one more entry.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

Tree = dict[str, str]
Rule = Callable[[Tree], Iterator[str]]

PACKAGE = "python/tierstore/"
LONGEST_FILE, LONGEST_FUNCTION = 500, 60
GENERATED = "# Generated from"
# Called by the unwinder, not by the interpreter.
UNWINDER_CALLS = "rust/binding/src/exit.rs"

BASE = 1
RINGS = (
    ("_native",),
    ("errors", "runtime", "config", "telemetry", "records", "codec", "proto", "graph", "cache", "sql"),
    ("plan",),
    ("backends",),
    ("tiers",),
    ("calls",),
    ("stores",),
    ("assembly", "store", "blocking", "cli", "integrations", "testing", "__init__"),
)
"""A module imports from its own ring and from those before it. A file beside the rooms that no ring names is of the base ring."""

DRIVERS = {
    "psycopg": "postgres",
    "psycopg_pool": "postgres",
    "redis": "redis",
    "hiredis": "redis",
    "boto3": "s3",
    "botocore": "s3",
    "sqlite3": "sqlite",
}
"""A driver is imported in its server's folder of `backends/` only."""

FACADE = (*(f"{PACKAGE}{name}.py" for name in ("assembly", "store", "blocking")), "tests/house/blocking_stub.py")
STORES = ("schemas", "state", "modules", "content", "documents")
"""What the roster holds, or will."""
PURE_ROOMS = ("tiers", "calls", "stores", "plan")
RUNTIMES_ONLY = {"asyncio", "threading", "time", "concurrent", "queue", "sched", "selectors"}
SQL = re.compile(
    r"\b(SELECT\s.+\sFROM|INSERT\s+INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM|CREATE\s+(TABLE|INDEX|VIEW|EXTENSION)"
    r"|ALTER\s+TABLE|DROP\s+TABLE)\b",
    re.DOTALL,
)
KNOWS_THE_DIALECT = re.compile(r"^stores/\w+/(search|candidates\.py)")
"""Search has an index of its own on each database."""
ENVIRONMENT = re.compile(r"^(os\.(environ|environb|getenv|getenvb))$")
MACHINE = re.compile(r"(?<![\w./:-])/(?:home|root|Users|work|mnt|farm)/\w")
LEFT_BEHIND = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|pytest\.mark\.(skip|skipif|xfail)|pytest\.skip\(|#\[ignore")
TOP = {"rust", "python", "tests", "benches", "docs", ".github", ".ci", "Cargo.toml", "Cargo.lock", "pyproject.toml"}
TOP |= {"docker-compose.yml", "rustfmt.toml", "deny.toml", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "Makefile"}
UPWARDS = re.compile(r"(?<![\w.])((?:\.\./)*\.\.)(?:/([\w.-]*)|(?=[\s\"'`)]|$))")
"""Steps up, and the name that follows them."""
STEP_ALONE = re.compile(r"(?:/\s*|(?:Path|join|joinpath)\([^)]*)([\"'])\.\.\1")
PARENTS = re.compile(r"__file__\W+((?:\.(?:parent\b|parents\[\d+\]|resolve\(\)))+)|\broot(\.parents?\b)", re.IGNORECASE)
CODE = ("rust/", "python/")
"""Reads no file of the tree; `..` is syntax there."""
SOURCES = (".py", ".pyi", ".rs")
TEXTS = ("Makefile", ".ci/run", *SOURCES, ".sql", ".lua", ".md", ".toml", ".yml", ".yaml", ".sh", ".json")


def read_tree(root: Path, names: list[str]) -> Tree:
    return {name: (root / name).read_text(errors="replace") for name in names if name.endswith(TEXTS)}


def _python(tree: Tree, under: str = PACKAGE) -> Iterator[tuple[str, ast.Module]]:
    for path, text in tree.items():
        if path.startswith(under) and path.endswith(".py"):
            yield path, ast.parse(text, path)


def _imports(path: str, module: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, full dotted name) of everything that is imported, also inside functions."""
    package = ".".join(PurePosixPath(path.removeprefix("python/")).parent.parts)
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")
            base = ".".join(parents[: len(parents) - node.level + 1]) if node.level else ""
            stem = ".".join(part for part in (base, node.module) if part)
            yield from ((node.lineno, f"{stem}.{alias.name}") for alias in node.names)


def _room(path: str) -> str:
    return PurePosixPath(path.removeprefix(PACKAGE)).parts[0].removesuffix(".py")


def _ring(room: str) -> int | None:
    return next((number for number, rooms in enumerate(RINGS) if room in rooms), None)


def direction(tree: Tree) -> Iterator[str]:
    """Imports point to the left, and every room has its ring."""
    for path, module in _python(tree):
        mine = _ring(_room(path))
        if mine is None and path.count("/") == PACKAGE.count("/"):
            mine = BASE
        if mine is None:
            yield f"{path}:1 the room {_room(path)!r} is in no ring"
            continue
        for line, name in _imports(path, _without_type_checking(module)):
            parts = name.split(".")
            theirs = _ring(parts[1]) if parts[0] == "tierstore" and len(parts) > 1 else None
            if theirs is not None and theirs > mine:
                yield f"{path}:{line} imports {name}, which is in a ring to its right"


def stores_apart(tree: Tree) -> Iterator[str]:
    """No store imports another: what two of them need lies below them."""
    for path, module in _python(tree, f"{PACKAGE}stores/"):
        mine = PurePosixPath(path.removeprefix(f"{PACKAGE}stores/")).parts[0].removesuffix(".py")
        for line, name in _imports(path, module):
            theirs = (
                name.removeprefix("tierstore.stores.").split(".")[0] if name.startswith("tierstore.stores.") else mine
            )
            if mine != "__init__" and theirs != mine:
                yield f"{path}:{line} imports {name}, which is another store's"


def roster_alone(tree: Tree) -> Iterator[str]:
    """What has to do with all stores walks the roster: no code of the facade names a store."""
    for path in FACADE:
        if (text := tree.get(path)) is None:
            continue
        module = ast.parse(text, path)
        docstrings = _docstrings(module)
        for node in ast.walk(module):
            if isinstance(node, ast.Attribute):
                said = node.attr
            elif isinstance(node, ast.Constant) and id(node) not in docstrings:
                said = str(node.value)
            else:
                continue
            if said in STORES:
                yield f"{path}:{node.lineno} names the store {said!r}"
        for line, name in _imports(path, module):
            if name.startswith("tierstore.stores.") and name.split(".")[2] in STORES:
                yield f"{path}:{line} imports {name}"


def _without_type_checking(module: ast.Module) -> ast.Module:
    """The root exports names of every ring to type checkers only."""
    body = [
        node for node in module.body if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    ]
    return ast.Module(body, [])


def rust_direction(tree: Tree) -> Iterator[str]:
    """The core knows neither Python nor I/O."""
    for path, text in tree.items():
        if path.startswith("rust/core/src/") and path.endswith(".rs"):
            for number, line in enumerate(text.splitlines(), 1):
                if re.search(r"\b(pyo3|std::(fs|net|process|env|io))\b", line.split("//")[0]):
                    yield f"{path}:{number} the core uses {line.strip()!r}"
        if path == "rust/core/Cargo.toml" and "pyo3" in text:
            yield f"{path}:1 the core depends on pyo3"


def native_edges(tree: Tree) -> Iterator[str]:
    """What the interpreter calls in Rust is one call of the guard, which no panic leaves."""
    for path, text in tree.items():
        if path.startswith("rust/binding/") and path.endswith(".rs") and path != UNWINDER_CALLS:
            code = re.sub(r"//.*", "", text)
            for found in re.finditer(r'\bextern\s+(?:"[^"]*"\s+)?fn\s+(\w+)', code):
                body = _block(code, code.index("(", found.end()))
                unsafe = re.match(r"unsafe\s*(?=\{)", body)
                if unsafe is not None and _closing(body, unsafe.end()) == len(body) - 1:
                    body = _block(body, 0)
                call = re.match(r"(?:guard::)?(?:answer|raise|report|endure)(?=\()", body)
                if call is None or _closing(body, call.end()) < len(body.rstrip(" \n;")) - 1:
                    yield f"{path}:{code.count(chr(10), 0, found.start()) + 1} {found[1]} is not one call of the guard"


def _block(code: str, start: int) -> str:
    """What stands between the braces that open first behind `start`."""
    opening = code.index("{", start)
    return code[opening + 1 : _closing(code, opening)].strip()


def _closing(code: str, opening: int) -> int:
    """Where the bracket that opens at `opening` is closed; the end of the code if nowhere."""
    depth = 0
    for place in range(opening, len(code)):
        depth += (code[place] in "({[") - (code[place] in ")}]")
        if depth == 0:
            return place
    return len(code)


def drivers(tree: Tree) -> Iterator[str]:
    """A driver is imported in its own backend's folder, and never by importing the package."""
    for path, module in _python(tree):
        for line, name in _imports(path, _without_type_checking(module)):
            owner = DRIVERS.get(name.split(".")[0])
            if owner is not None and not path.startswith(f"{PACKAGE}backends/{owner}/"):
                yield f"{path}:{line} imports the driver {name}"


def driver_privates(tree: Tree) -> Iterator[str]:
    """No private member of a driver is used: it may move with any release."""
    for path, module in _python(tree, f"{PACKAGE}backends/"):
        own = {"self", "cls", *_own_objects(module)}
        for node in ast.walk(module):
            names = [node.attr] if isinstance(node, ast.Attribute) and _root(node.value) not in own else []
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in DRIVERS:
                names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
            for name in names:
                if re.match(r"_(?!_)", name) and name not in NAMED_TUPLE:
                    yield f"{path}:{node.lineno} uses {name}, which is private to another"


NAMED_TUPLE = {"_asdict", "_fields", "_make", "_replace"}


def _root(node: ast.expr) -> str | None:
    """What the attribute is one of: a name, of the standard library's modules none; `self` for `super()`."""
    if isinstance(node, ast.Call):
        return "self" if ast.unparse(node) == "super()" else None
    if isinstance(node, ast.Name):
        return "self" if node.id in sys.stdlib_module_names else node.id
    return None


def _own_objects(module: ast.Module) -> set[str]:
    """Names that stand for `self`, or for a new object of a class of the module."""
    classes = {node.name for node in ast.walk(module) if isinstance(node, ast.ClassDef)} | {"cls"}
    found = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            value = node.value.func if isinstance(node.value, ast.Call) else node.value
            if isinstance(value, ast.Name) and value.id in classes | {"self"}:
                found.add(node.targets[0].id)
    return found


def sql_in_its_place(tree: Tree) -> Iterator[str]:
    """Statements stand in `.sql` files only."""
    for path, module in _python(tree):
        docstrings = _docstrings(module)
        for node in ast.walk(module):
            text = node.value if isinstance(node, ast.Constant) and id(node) not in docstrings else None
            if isinstance(text, str) and SQL.search(text):
                yield f"{path}:{node.lineno} holds SQL; it belongs under sql/"


def errors_alone(tree: Tree) -> Iterator[str]:
    """An error that is raised while another is handled leaves that one behind: it holds values, documents and addresses."""
    for path, module in _python(tree):
        handlers = [node for node in ast.walk(module) if isinstance(node, ast.ExceptHandler)]
        raised = {id(node): node for handler in handlers for node in _within(handler) if isinstance(node, ast.Raise)}
        for node in raised.values():
            if node.exc is not None:
                yield f"{path}:{node.lineno} raises an error with what is being handled as its context; use raise_alone"


def _within(node: ast.AST) -> Iterator[ast.AST]:
    """What runs where the node does, so not the functions that it only defines."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield child
            yield from _within(child)


def _docstrings(module: ast.Module) -> set[int]:
    """Strings that stand alone: docstrings, and those under an attribute."""
    return {
        id(node.value)
        for node in ast.walk(module)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }


def dialect(tree: Tree) -> Iterator[str]:
    """A store does not ask which database it has: its queries say what they are. Search may."""
    for path, module in _python(tree):
        place = path.removeprefix(PACKAGE)
        if not place.startswith(("stores/", "calls/")) or KNOWS_THE_DIALECT.match(place):
            continue
        for node in ast.walk(module):
            named = (getattr(node, field, None) for field in ("id", "attr", "arg"))
            if "dialect" in named:
                yield f"{path}:{getattr(node, 'lineno', 1)} asks for the dialect; the query's head says what it is"


def environment(tree: Tree) -> Iterator[str]:
    """Only `config/` reads the environment."""
    for path, module in _python(tree):
        if path.startswith(f"{PACKAGE}config/"):
            continue
        for node in ast.walk(module):
            if isinstance(node, ast.Attribute) and ENVIRONMENT.match(ast.unparse(node)):
                yield f"{path}:{node.lineno} reads the environment"
        for line, name in _imports(path, module):
            if ENVIRONMENT.match(name):
                yield f"{path}:{line} reads the environment"


def runtime_only(tree: Tree) -> Iterator[str]:
    """Tiers and stores take time, locks and tasks from the runtime."""
    for path, module in _python(tree):
        if _room(path) in PURE_ROOMS:
            for line, name in _imports(path, module):
                if name.split(".")[0] in RUNTIMES_ONLY:
                    yield f"{path}:{line} imports {name.split('.')[0]}; the runtime has it"


def redis_names(tree: Tree) -> Iterator[str]:
    """Names in Redis are made in `plan/keys.py` only: there each gets the configured prefix."""
    for path, module in _python(tree):
        docstrings = _docstrings(module)
        for node in ast.walk(module):
            if path == f"{PACKAGE}plan/keys.py" or not isinstance(node, ast.Constant) or id(node) in docstrings:
                continue
            if isinstance(node.value, str) and re.search(r"\bts1\b", node.value):
                yield f"{path}:{node.lineno} makes a name in Redis"


def length(tree: Tree) -> Iterator[str]:
    """No file over 500 lines, no Python function over 60. What is generated is as long as what it is made of."""
    for path, text in tree.items():
        if path.endswith(SOURCES) and not text.startswith(GENERATED) and (lines := text.count("\n")) > LONGEST_FILE:
            yield f"{path}:1 has {lines} lines"
    for path, module in _python(tree, ""):
        for node in ast.walk(module):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > LONGEST_FUNCTION:
                    yield f"{path}:{node.lineno} {node.name} has {lines} lines"


def machine_paths(tree: Tree) -> Iterator[str]:
    """Nothing names a folder of somebody's machine."""
    return _matches(tree, MACHINE, TEXTS, "names a folder of a machine")


def left_behind(tree: Tree) -> Iterator[str]:
    """No marks for later, no test that is skipped or expected to fail."""
    return _matches(tree, LEFT_BEHIND, SOURCES, "is a mark for later")


def _matches(tree: Tree, pattern: re.Pattern[str], suffixes: tuple[str, ...], complaint: str) -> Iterator[str]:
    for path, text in tree.items():
        if path.endswith(suffixes) and not path.startswith("tests/tidy/"):
            for number, line in enumerate(text.splitlines(), 1):
                if found := pattern.search(line):
                    yield f"{path}:{number} {found[0]!r} {complaint}"


def above_the_root(tree: Tree) -> Iterator[str]:
    """A clone is enough: no path leaves it."""
    for path, text in tree.items():
        if path.startswith(CODE) or path.startswith("tests/tidy/"):
            continue
        depth = path.count("/")
        for number, line in enumerate(text.splitlines(), 1):
            steps = (_leaves(found[1].count(".."), found[2], depth) for found in UPWARDS.finditer(line))
            parents = (found[2] or _parents(found[1]) > depth + 1 for found in PARENTS.finditer(line))
            alone = path.endswith(".py") and STEP_ALONE.search(line)
            if alone or any(steps) or any(parents):
                yield f"{path}:{number} names what lies above the root"


def _leaves(steps: int, name: str | None, depth: int) -> bool:
    return steps > depth or (steps == depth and bool(name) and name not in TOP)


def _parents(chain: str) -> int:
    """How many folders `.parent`, `.parents[n]` go up."""
    return chain.count(".parent") + sum(int(number) for number in re.findall(r"\[(\d+)\]", chain))


def top_level(tree: Tree) -> Iterator[str]:
    """What stands at the top is fixed."""
    for path in tree:
        if path.split("/")[0] not in TOP:
            yield f"{path}:1 does not belong at the top level"


RULES: tuple[Rule, ...] = (
    direction,
    stores_apart,
    roster_alone,
    rust_direction,
    native_edges,
    drivers,
    driver_privates,
    sql_in_its_place,
    errors_alone,
    dialect,
    environment,
    runtime_only,
    redis_names,
    length,
    machine_paths,
    left_behind,
    above_the_root,
    top_level,
)
