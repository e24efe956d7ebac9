"""Whether a version can take the place of another, by its files, their packages and their public imports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tierstore.errors import ProtoSyntaxError
from tierstore.plan.imports import PROTO, words_of
from tierstore.proto import ProtoFile
from tierstore.stores.modules.model import FileInfo
from tierstore.stores.modules.reading import Parsed, Reading
from tierstore.stores.modules.reports import Finding

Sources = Mapping[str, Parsed]
"""What the .proto files of a version say, by path."""


async def findings(reading: Reading, old: Mapping[str, FileInfo], new: Mapping[str, FileInfo]) -> list[Finding]:
    """In the order of paths."""
    parsed = await reading.parsed(old, new)
    before, after = (_by_path(files, parsed) for files in (old, new))
    return [found for path in sorted({*before, *after}) for found in _of_file(path, before, after)]


def _by_path(files: Mapping[str, FileInfo], parsed: Mapping[str, Parsed]) -> dict[str, Parsed]:
    return {path: parsed[info.digest] for path, info in files.items() if path.endswith(PROTO)}


def _of_file(path: str, before: Sources, after: Sources) -> Iterator[Finding]:
    old, new = before.get(path), after.get(path)
    if new is None:
        yield Finding("FILE_NO_DELETE", path, None, None, None, f"{path} was removed; files that import it break")
    elif isinstance(new, ProtoSyntaxError):
        if not isinstance(old, ProtoSyntaxError):
            yield Finding("FILE_PARSES", path, new.line, new.column, None, words_of(new))
    elif isinstance(old, ProtoFile):
        if old.package != new.package:
            text = f"the package was {_package(old)} and is {_package(new)}; every name in the file changes"
            yield Finding("FILE_SAME_PACKAGE", path, None, None, old.package, text)
        yield from _lost_imports(path, old, after)


def _package(file: ProtoFile) -> str:
    return file.package or "(none)"


def _lost_imports(path: str, old: ProtoFile, after: Sources) -> Iterator[Finding]:
    """An edge that was public and has no public way in its place. Each way that breaks breaks at such an edge."""
    public = [each for each in old.imports if each.kind == "public"]
    reached = _public_ways(path, after) if public else set()
    for each in public:
        if each.path not in reached:
            text = f"{path} no longer imports {each.path} publicly; files that see its names through {path} break"
            yield Finding("PUBLIC_IMPORT_NO_DELETE", path, each.line, each.column, each.path, text)


def _public_ways(path: str, sources: Sources) -> set[str]:
    """The files whose names whoever imports `path` sees too."""
    reached: set[str] = set()
    left = [path]
    while left:
        file = sources.get(left.pop())
        if isinstance(file, ProtoFile):
            further = {each.path for each in file.imports if each.kind == "public"} - reached
            reached |= further
            left += further
    return reached
