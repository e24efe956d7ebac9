"""What a resolution came to, in a form that can be kept in a repository and checked later.

The text of a lockfile is JSON with sorted keys, two spaces a level and a line end behind it: the same lockfile is always the same bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple, NoReturn, TypeVar

import orjson

from tierstore._native import Version
from tierstore.answers import Answer
from tierstore.errors import InvalidKeyError, ValidationError, raise_alone
from tierstore.plan.constraints import parse_constraint
from tierstore.plan.pointer import pointer
from tierstore.plan.values import check_name

FORMAT: Final = 1
MAX_FILES: Final = 100_000
"""Of one module version."""
T = TypeVar("T")
_DIGEST = re.compile("[0-9a-f]{64}")

LockProblemKind = Literal[
    "module_missing", "version_missing", "digest_changed", "file_missing", "file_added", "file_changed"
]


class _Requirement(NamedTuple):
    by: str
    module: str
    constraint: str


class Requirement(Answer, _Requirement):
    """The version `by` ("acme/orders@2.1.0") requires of `module` what `constraint` says."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Locked(Answer):
    """A version of a module, its digest, and the digest of each of its files by path."""

    name: str
    version: str
    digest: str
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class LockProblem(Answer):
    """What of a lockfile is no longer so. `path`: the file that it is about; `expected` and `found`: digests; None where there is none.

    "module_missing": the lockfile itself names a requirement on a module of which there was no version.
    """

    kind: LockProblemKind
    name: str
    version: str | None
    path: str | None = None
    expected: str | None = None
    found: str | None = None


@dataclass(frozen=True, slots=True)
class Lockfile(Answer):
    """The versions that `root` ("acme/app@1.0.0") was resolved to, by name. `missing`: its requirements on modules that there were not."""

    root: str
    entries: tuple[Locked, ...]
    missing: tuple[Requirement, ...] = field(default=())

    def to_json(self) -> str:
        """The text of the file, the same for equal lockfiles; `from_json` reads it."""
        plain = {
            "format": FORMAT,
            "root": self.root,
            "entries": [_plain_entry(entry) for entry in sorted(self.entries, key=lambda entry: entry.name)],
            "missing": [each._asdict() for each in sorted(self.missing)],
        }
        return json.dumps(plain, ensure_ascii=False, indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Lockfile:
        """The lockfile that `to_json` wrote. ValidationError, with a JSON pointer as its place, for anything else."""
        return _read(text)


def node(name: str, version: str) -> str:
    """A version of a module in one word."""
    return f"{name}@{version}"


def lock_problems(lockfile: Lockfile, stored: Mapping[tuple[str, str], Locked]) -> list[LockProblem]:
    """What differs between a lockfile and what the store has now of the versions in it, by name and version. No I/O."""
    problems = [LockProblem("module_missing", each.module, None) for each in lockfile.missing]
    for entry in lockfile.entries:
        found = stored.get((entry.name, entry.version))
        if found is None:
            problems.append(LockProblem("version_missing", entry.name, entry.version, expected=entry.digest))
        else:
            problems.extend(_differences(entry, found))
    return problems


def _differences(entry: Locked, found: Locked) -> list[LockProblem]:
    """Of the files; of the version's digest where no file says why."""
    problems = list(_of_files(entry, found))
    if not problems and entry.digest != found.digest:
        problem = LockProblem("digest_changed", entry.name, entry.version, expected=entry.digest, found=found.digest)
        problems.append(problem)
    return problems


def _of_files(entry: Locked, found: Locked) -> Iterator[LockProblem]:
    for path in sorted(entry.files.keys() | found.files.keys()):
        was, now = entry.files.get(path), found.files.get(path)
        if was != now:
            kind: LockProblemKind = "file_added" if was is None else "file_missing" if now is None else "file_changed"
            yield LockProblem(kind, entry.name, entry.version, path, was, now)


def _plain_entry(entry: Locked) -> dict[str, Any]:
    return {"name": entry.name, "version": entry.version, "digest": entry.digest, "files": dict(entry.files)}


Place = tuple[str | int, ...]
"""The way to a value in the JSON of a lockfile."""


def _read(text: object) -> Lockfile:
    if not isinstance(text, (str, bytes)):
        raise ValidationError(f"text must be str or bytes, not {type(text).__name__}", place="text")
    try:
        plain = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise_alone(ValidationError("a lockfile must be JSON", place=place))
    if isinstance(plain, dict) and "format" in plain and (type(plain["format"]), plain["format"]) != (int, FORMAT):
        _refuse(f"this version of tierstore reads format {FORMAT} only", ("format",))
    whole = _object(plain, ("format", "root", "entries", "missing"), ())
    entries = _list(whole["entries"], ("entries",), _entry)
    _check_once(entries)
    missing = _list(whole["missing"], ("missing",), _requirement)
    entries.sort(key=lambda entry: entry.name)
    return Lockfile(_node(whole["root"], ("root",)), tuple(entries), tuple(sorted(missing)))


def _check_once(entries: list[Locked]) -> None:
    seen: set[str] = set()
    for index, entry in enumerate(entries):
        if entry.name in seen:
            _refuse("expected each module once", ("entries", index, "name"))
        seen.add(entry.name)


def _entry(value: object, place: Place) -> Locked:
    fields = _object(value, ("name", "version", "digest", "files"), place)
    return Locked(
        _name(fields["name"], (*place, "name")),
        _version(fields["version"], (*place, "version")),
        _digest(fields["digest"], (*place, "digest")),
        _files(fields["files"], (*place, "files")),
    )


def _files(value: object, place: Place) -> Mapping[str, str]:
    if not isinstance(value, dict):
        _refuse("expected an object of digests by path", place)
    if len(value) > MAX_FILES:
        _refuse(f"expected at most {MAX_FILES:,} files", place)
    return {path: _digest(digest, (*place, path)) for path, digest in sorted(value.items())}


def _requirement(value: object, place: Place) -> Requirement:
    fields = _object(value, ("by", "module", "constraint"), place)
    constraint = _text(fields["constraint"], (*place, "constraint"))
    return Requirement(
        _node(fields["by"], (*place, "by")),
        _name(fields["module"], (*place, "module")),
        parse_constraint(constraint, pointer((*place, "constraint"))).text,
    )


def _node(value: object, place: Place) -> str:
    name, _, version = _text(value, place).rpartition("@")
    return node(_name(name, place), _version(version, place))


def _name(value: object, place: Place) -> str:
    try:
        return check_name(value, "name")
    except InvalidKeyError:
        _refuse("expected the name of a module", place)


def _version(value: object, place: Place) -> str:
    text = _text(value, place)
    try:
        return str(Version(text))
    except ValidationError:
        _refuse("expected a version such as 1.2.3", place)


def _digest(value: object, place: Place) -> str:
    if not isinstance(value, str) or _DIGEST.fullmatch(value) is None:
        _refuse("expected a digest of 64 hexadecimal digits", place)
    return value


def _text(value: object, place: Place) -> str:
    if not isinstance(value, str):
        _refuse("expected a string", place)
    return value


def _list(value: object, place: Place, read: Callable[[object, Place], T]) -> list[T]:
    if not isinstance(value, list):
        _refuse("expected an array", place)
    return [read(each, (*place, index)) for index, each in enumerate(value)]


def _object(value: object, names: tuple[str, ...], place: Place) -> dict[str, Any]:
    """The value if it is an object with these fields and no others."""
    if not isinstance(value, dict):
        _refuse("expected an object", place)
    if missing := [name for name in names if name not in value]:
        _refuse(f"expected a field {missing[0]!r}", place)
    if unknown := sorted(value.keys() - set(names)):
        _refuse("unknown field", (*place, unknown[0]))
    return value


def _refuse(message: str, place: Place) -> NoReturn:
    raise_alone(ValidationError(f"a lockfile has a fault: {message}", place=pointer(place)))
