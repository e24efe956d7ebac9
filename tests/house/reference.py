"""The pages of the reference: which public name stands on which page, and its docstring in the form that Sphinx reads."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import inspect
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from sphinx.pycode import ModuleAnalyzer

import tierstore

STUB = Path(tierstore.__file__).with_name("blocking.pyi")
INTERNAL = re.compile(r"(hit_|_)\w+|about|settings|opened|collect|observe|span")
"""Public by name for the sake of other modules, and no part of what a user calls."""
BASES = "Record, RecordBase, tuple, object, OSError, BaseException, MutableMapping, Mapping"
"""What a class has of these is not said again for each."""
CODE = re.compile(r"(`[^`]+`)")
MARKUP = re.compile(r"([\\*|])|(?<=\w)(_)(?!\w)")
ALIAS = re.compile(r"TypeAliasForwardRef\('tierstore\.(\w+)'\)")
UNSHOWN = re.compile(r"Ellipsis|<factory>")
OBJECT = re.compile(r"<tierstore\.telemetry\.Telemetry object[^>]*>")
STATEMENT = re.compile(r"(async )?with .+:( .*)?|\w+ = await .*\)")
"""Code that begins where the docstring does, since it is all that follows the summary."""
PAGE = re.compile(r"docs/([\w/-]+)\.md")


def _in(module: str, names: str) -> tuple[str, ...]:
    return tuple(f"{module}.{name}" for name in names.split())


@dataclass(frozen=True)
class Page:
    """A page of the reference. A name is as `tierstore` exports it, or has its module before it.

    `names`: what a user calls. `answers`: classes that only tierstore makes. `modules`: everything that these offer.
    """

    title: str
    names: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()


PAGES: dict[str, Page] = {
    "stores": Page(
        "Stores and transactions",
        ("open", "bounded", "Read", "Bounded", "Id"),
        ("Store", "Transaction", "Health", "TierHealth", "Statistics", "Meta", "Opening"),
    ),
    "schemas": Page(
        "Schemas",
        ("SchemaType", "SchemaState", "SchemaStates", "SchemaPlacement"),
        answers=_in(
            "tierstore", "SchemaStore SchemaTransaction Schema SchemaInfo SearchHit SchemaStatistics Popular Page"
        ),
    ),
    "modules": Page(
        "Modules",
        ("acting_as", "ModuleState", "GraphDirection", "ImportKind", "ImportStatus"),
        answers=_in(
            "tierstore",
            "ModuleStore Module ModuleVersion ModuleVersionInfo FileInfo Deprecation Dependency ModuleRef Impact AuditEntry "
            "ModuleStatistics Lockfile Locked Requirement",
        ),
    ),
    "state": Page(
        "State",
        _in("tierstore", "StateService StateField ABSENT DEFAULT KEEP"),
        _in(
            "tierstore",
            "StateStore Entry StateChange StateStatistics StateExport StateImport StateRekey Fact Absent Default Keep",
        ),
        modules=("tierstore.integrations.keyvalue",),
    ),
    "testing": Page("Suites for backends", modules=("tierstore.testing",)),
    "blocking": Page("The blocking calls", modules=("tierstore.blocking",)),
    "configuration": Page(
        "Configuration",
        _in(
            "tierstore",
            "Config PostgresConfig RedisConfig SentinelConfig ObjectConfig CacheConfig StateConfig StateEncryption "
            "Deadlines Gates",
        ),
    ),
    "answers": Page("Answers as plain data", ("to_plain", "to_json", "exposed"), ("Answer",)),
    "errors": Page("Errors", modules=("tierstore.errors",)),
    "cache": Page("Cache", ("Cache",), ("CacheStats", "FillTicket")),
    "codec": Page(
        "Records and codec",
        ("Record", *_in("tierstore.records", "field removed"), "VectorClock"),
        modules=("tierstore.codec",),
    ),
    "graph": Page("Dependency graphs", ("DependencyGraph",), ("GraphChanges",)),
    "proto": Page("Protobuf imports", modules=("tierstore.proto",)),
    "routing": Page("Routing by size", ("SizeRouter",), ("Placement",)),
    "telemetry": Page(
        "Telemetry", (*_in("tierstore.telemetry", "Prometheus OpenTelemetry"), "Telemetry", "Series", "Total")
    ),
}


def pages() -> dict[str, str]:
    """Text in reStructuredText by the name of its page. A name that `tierstore` exports and no page has stands on the last one."""
    written = {name: _page(page) for name, page in PAGES.items()}
    if rest := _left_over():
        written["types"] = _page(Page("Other types", rest))
    return written


def _left_over() -> tuple[str, ...]:
    placed = {name.rpartition(".")[2] for page in PAGES.values() for name in (*page.names, *page.answers)}
    placed |= {name for page in PAGES.values() for module in page.modules for name in _offered(module)}
    rest = [name for name in tierstore.__all__ if name not in placed and not name.startswith("_")]
    return tuple(name for name in rest if not isinstance(getattr(tierstore, name), ModuleType))


def _offered(name: str) -> list[str]:
    module = importlib.import_module(name)
    return getattr(module, "__all__", None) or [each for each in vars(module) if _is_own(module, each)]


def _page(page: Page) -> str:
    lines = [page.title, "=" * len(page.title), ""]
    names = [_qualified(name) for name in page.names]
    for name in names:
        if _is_documented(what := _found(name)):
            lines += [f".. auto{'class' if inspect.isclass(what) else 'function'}:: {name}", ""]
    for name in map(_qualified, page.answers):
        lines += [f".. autoclass:: {name}()", f"   :inherited-members: {BASES}", ""]
    for name in names:
        if not _is_documented(_found(name)):
            lines += _alias(name)
    for name in page.modules:
        lines += [f".. automodule:: {name}", f"   :inherited-members: {BASES}", ""]
    return "\n".join(lines)


def _is_documented(what: Any) -> bool:
    """Whether it has a docstring of its own, as a type alias has not."""
    return inspect.isclass(what) or inspect.isroutine(what)


def aliases() -> dict[str, str]:
    """The type aliases that `tierstore` exports, so that a signature says `Read` and not all that it stands for."""
    values = {name: getattr(tierstore, name) for name in tierstore.__all__ if not name.startswith("_")}
    return {
        name: f"tierstore.{name}"
        for name, value in values.items()
        if not isinstance(value, ModuleType) and not _is_documented(value)
    }


def _alias(name: str) -> list[str]:
    """A type alias with the docstring below its definition, which autodoc finds in the defining module only."""
    _, _, own = name.rpartition(".")
    documented = ModuleAnalyzer.for_module(tierstore._HOME_OF[own]).find_attr_docs()
    lines = list(documented.get(("", own), ()))
    as_restructured(None, "data", name, None, None, lines)
    value = re.sub(r"\b(typing|collections\.abc|uuid|tierstore(\.\w+)*)\.", "", str(_found(name)))
    return [f".. py:data:: {name}", f"   :value: {value}", "", *(f"   {line}" for line in lines), ""]


def _qualified(name: str) -> str:
    return name if "." in name else f"tierstore.{name}"


def _found(name: str) -> Any:
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def use_blocking_stub() -> None:
    """Let `tierstore.blocking` be its stub, whose signatures are the face's own, with the docstrings of the async face."""
    real = importlib.import_module("tierstore.blocking")
    loader = importlib.machinery.SourceFileLoader("tierstore.blocking", str(STUB))
    spec = importlib.util.spec_from_loader("tierstore.blocking", loader)
    assert spec is not None
    stub = importlib.util.module_from_spec(spec)
    loader.exec_module(stub)
    stub.__doc__ = real.__doc__
    own = [name for name in vars(stub) if name in tierstore.__all__ and _is_own(stub, name)]
    vars(stub)["__all__"] = own
    for name in own:
        _document(getattr(stub, name), getattr(real, name))
    sys.modules["tierstore.blocking"] = tierstore.blocking = stub


def _is_own(module: ModuleType, name: str) -> bool:
    return getattr(getattr(module, name), "__module__", None) == module.__name__


def _document(target: Any, source: Any) -> None:
    """Give a class or function of the stub the docstrings and the defaults of what it stands for."""
    target.__doc__ = inspect.getdoc(source)
    if inspect.isclass(target):
        for name, member in inspect.getmembers(target, inspect.isfunction):
            if hasattr(source, name) and not name.startswith("__"):
                _document(member, getattr(source, name))
    elif inspect.isfunction(meant := inspect.unwrap(source)):
        target.__defaults__, target.__kwdefaults__ = meant.__defaults__, meant.__kwdefaults__


def as_written(
    _app: Any, what: str, name: str, _object: Any, _options: Any, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """A signature as the source has it; how to make what only tierstore makes is not shown."""
    made_here = {_qualified(answer) for page in PAGES.values() for answer in page.answers}
    made_here |= {f"tierstore.blocking.{answer.rpartition('.')[2]}" for answer in made_here}
    if what == "exception" or name in made_here:
        return "", None
    return tuple(
        text and OBJECT.sub("OFF", ALIAS.sub(r"\1", UNSHOWN.sub("...", text))) for text in (signature, returns)
    )  # type: ignore[return-value]


def is_internal(_app: Any, _what: str, name: str, _member: Any, skip: bool, _options: Any) -> bool:
    """Whether autodoc leaves a member out."""
    return skip or INTERNAL.fullmatch(name) is not None


def as_restructured(_app: Any, _what: str, _name: str, _object: Any, _options: Any, lines: list[str]) -> None:
    """Docstrings here are plain text with `code`, lists and indented blocks: quote whatever else means something to Sphinx."""
    if lines and lines[0].startswith("Alias for field number"):
        lines.clear()  # what Python says of a named tuple's field
    written: list[str] = []
    before = "blank"
    for line in lines:
        kind = _kind_of(line, before)
        if kind == "block" != before:
            written += ["", "::", ""]
        elif kind not in ("blank", before) and before != "blank" and "text" in (kind, before) and kind != "block":
            written.append("")
        written.append(f"    {line}" if kind == "block" else _quoted(line))
        before = before if kind == "blank" and before == "block" else kind
    lines[:] = [*written, ""]


def _kind_of(line: str, before: str) -> str:
    if not line.strip():
        return "blank"
    if (line.startswith("    ") or STATEMENT.fullmatch(line)) and before in ("blank", "block"):
        return "block"
    if line.startswith(("- ", "* ")):
        return "item"
    return "item" if line.startswith("  ") and before == "item" else "text"


def _quoted(line: str) -> str:
    bullet, text = (line[:2], line[2:]) if line.startswith(("- ", "* ")) else ("", line)
    parts = CODE.split(text)
    parts[::2] = [PAGE.sub(r":doc:`/docs/\1`", MARKUP.sub(r"\\\1\2", part)) for part in parts[::2]]
    parts[1::2] = [f"`{part}`" for part in parts[1::2]]
    return bullet + "".join(parts)
