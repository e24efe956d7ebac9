"""What the files of a version import, and which module an import means. No I/O."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal, NamedTuple

from tierstore._native import ProtoFile, Version, parse_many
from tierstore.errors import ProtoSyntaxError, ValidationError
from tierstore.plan.arguments import shown
from tierstore.plan.constraints import LATEST, Constraint, VersionList, parse_constraint, parse_requires
from tierstore.plan.lockfile import Lockfile
from tierstore.plan.modules import File, check_module_name
from tierstore.plan.versions import version_identity

ImportKind = Literal["plain", "public", "weak", "option", "unparsed"]
"""How a file imports another one. "unparsed": the row is about the file itself, which does not parse."""
ImportStatus = Literal["resolved", "unresolved", "builtin"]
"""Whether it is known which module an import means. "builtin": a file that protoc brings along."""

BUILTIN: Final = "google/protobuf/"
PROTO: Final = ".proto"
MAX_REQUIRES: Final = 10_000


class ImportLine(NamedTuple):
    """An import as it stands in a file. `error`: why the file does not parse, at that place; then there is no path."""

    file: str
    path: str
    kind: ImportKind
    line: int
    column: int
    error: str | None = None


class Binding(NamedTuple):
    """What an import was found to mean. `error`: why it is unresolved."""

    status: ImportStatus
    module: str | None = None
    version: str | None = None
    error: str | None = None


class Holder(NamedTuple):
    """A version of a module that may be used and has a file."""

    module: str
    version: str
    is_published: bool


class Required(NamedTuple):
    """What a version requires of a module: by a constraint, by the version in its lockfile, or both."""

    module: str
    constraint: str | None
    locked: str | None

    @property
    def effective(self) -> Constraint:
        """What is locked goes before the constraint."""
        return parse_constraint(self.locked or self.constraint)


def read_imports(files: Iterable[File]) -> list[ImportLine]:
    """The imports of those files that are protobuf sources; one line for a file that does not parse. O(bytes)."""
    sources = [file for file in files if file.path.endswith(PROTO)]
    read = parse_many([file.content for file in sources])
    return [line for file, found in zip(sources, read, strict=True) for line in _lines(file.path, found)]


def _lines(path: str, found: ProtoFile | ProtoSyntaxError) -> Iterator[ImportLine]:
    if isinstance(found, ProtoFile):
        for each in found.imports:
            yield ImportLine(path, each.path, each.kind, each.line, each.column)
    else:
        yield ImportLine(path, "", "unparsed", found.line, found.column, words_of(found))


def words_of(error: ProtoSyntaxError) -> str:
    """What is wrong, without the place, which stands beside it."""
    return error.message.removesuffix(f" ({error.place})")


def check_requires(name: str, requires: object, lockfile: object) -> list[Required]:
    """What a new version of `name` requires. ValidationError, with its place, for a wrong one."""
    constraints = {} if requires is None else parse_requires(requires)
    locked = {} if lockfile is None else _locked(name, lockfile)
    if name in constraints:
        raise ValidationError("requires must not name the module itself", place=f"requires[{shown(name)}]")
    names = sorted({*constraints, *locked})
    if len(names) > MAX_REQUIRES:
        raise ValidationError(
            f"requires must name at most {MAX_REQUIRES:,} modules, got {len(names):,}", place="requires"
        )
    for each in names:
        check_module_name(each)
    return [Required(each, constraints[each].text if each in constraints else None, locked.get(each)) for each in names]


def _locked(name: str, lockfile: object) -> dict[str, str]:
    if not isinstance(lockfile, Lockfile):
        raise ValidationError(f"lockfile must be a Lockfile, not {type(lockfile).__name__}", place="lockfile")
    return {entry.name: version_identity(Version(entry.version)) for entry in lockfile.entries if entry.name != name}


def choose(path: str, requires: Mapping[str, Constraint], holders: Sequence[Holder]) -> Binding:
    """Which module version an import of `path` means, to a version that has no such file itself.

    First the modules that it requires, then what protoc brings along, then the only module that has the path.
    """
    by_module: dict[str, list[Holder]] = {}
    for holder in holders:
        by_module.setdefault(holder.module, []).append(holder)
    in_reach = sorted(module for module in by_module if module in requires)
    if in_reach:
        return _in_reach(by_module, in_reach, requires)
    if is_builtin(path):
        return Binding("builtin")
    return _unique(by_module)


def is_builtin(path: str) -> bool:
    return path.startswith(BUILTIN) and path.endswith(PROTO)


def _in_reach(by_module: Mapping[str, list[Holder]], names: list[str], requires: Mapping[str, Constraint]) -> Binding:
    found = {name: best for name in names if (best := _best(by_module[name], requires[name])) is not None}
    if len(found) == 1:
        ((module, version),) = found.items()
        return Binding("resolved", module, version)
    if found:
        return Binding("unresolved", error=f"{_all(found)} have it, and all are required")
    said = ", ".join(f"{name} {requires[name]}" for name in names)
    return Binding("unresolved", error=f"no version that is required has it: {said}")


def _unique(by_module: Mapping[str, list[Holder]]) -> Binding:
    if not by_module:
        return Binding("unresolved", error="no published module has it")
    if len(by_module) > 1:
        return Binding("unresolved", error=f"{_all(by_module)} have it: say in requires which one is meant")
    ((module, holders),) = by_module.items()
    return Binding("resolved", module, _best(holders, LATEST))


def _all(names: Iterable[str]) -> str:
    return " and ".join(sorted(names))


def _best(holders: Iterable[Holder], constraint: Constraint) -> str | None:
    """The highest version that is allowed: a deprecated one only where no published one is."""
    ordered = list(holders)
    for pool in ([each.version for each in ordered if each.is_published], [each.version for each in ordered]):
        versions = VersionList(map(Version, pool))
        if allowed := versions.allowed(constraint):
            return str(versions.versions[allowed.bit_length() - 1])
    return None


def own(path: str, files: Container[str], name: str, version: str) -> Binding | None:
    """The binding of an import that the version's own files answer."""
    return Binding("resolved", name, version) if path in files else None
