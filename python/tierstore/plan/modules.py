"""What the module store decides without I/O: names, paths, limits, the states of a version, and the digest of its files."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, NamedTuple

from tierstore._native import digest as digest_of
from tierstore.errors import InvalidKeyError, ValidationError
from tierstore.plan.arguments import shown
from tierstore.plan.lifecycle import Lifecycle
from tierstore.plan.values import MAX_DESCRIPTION_CHARACTERS, MAX_NAME_CHARACTERS, as_bytes, check_name, check_text
from tierstore.plan.versions import as_version, version_identity

ModuleState = Literal["draft", "published", "deprecated", "archived"]
"""The states of a module's version."""
LIFECYCLE: Final = Lifecycle[ModuleState](
    "version",
    {
        "draft": ("published", "archived"),
        "published": ("deprecated", "archived"),
        "deprecated": ("published", "archived"),
        "archived": (),
    },
)
FIRST_STATES: tuple[ModuleState, ...] = ("draft", "published")
"""In which a version may be created."""
MAX_VERSION_CHARACTERS = 100
MAX_PATH_CHARACTERS = 1_024
MAX_FILES = 10_000
MAX_FILE_BYTES = 64 * 1024 * 1024
MAX_FILES_BYTES = 256 * 1024 * 1024
"""Of all files of a version together."""
_NAME = re.compile(r"[A-Za-z0-9._/-]+")


class File(NamedTuple):
    """A file of a version on its way in."""

    path: str
    content: bytes
    digest: str


def check_module_name(name: object, place: str = "name") -> str:
    """`name` if a module may be called so. InvalidKeyError, with `place`, otherwise."""
    text = check_name(name, place)
    if _NAME.fullmatch(text) is None:
        wrong = next(character for character in text if _NAME.fullmatch(character) is None)
        raise InvalidKeyError(
            f"{place} must have only letters A to Z, digits and . _ / -, got {shown(wrong)}", place=place
        )
    _check_parts(text, place, place, parents_only=True)
    return text


def check_module_prefix(prefix: object) -> str:
    """`prefix` if some name could begin with it; the empty one is allowed."""
    if isinstance(prefix, str) and not prefix:
        return ""
    text = check_name(prefix, "prefix")
    if _NAME.fullmatch(text) is None:
        raise InvalidKeyError(f"prefix must be the beginning of a module's name, got {shown(text)}", place="prefix")
    return text


def check_version(version: object) -> tuple[str, Any]:
    """The version without build metadata, which is no part of its identity, and the version. ValidationError if it is too long."""
    parsed = as_version(version)
    if len(text := str(parsed)) > MAX_VERSION_CHARACTERS:
        limit = f"version must have at most {MAX_VERSION_CHARACTERS} characters, got {len(text)}"
        raise ValidationError(limit, place="version")
    return version_identity(parsed), parsed


def check_file_path(path: object, place: str = "path") -> str:
    """`path` if imports can write it: parts between slashes, relative. InvalidKeyError, with `place`, otherwise."""
    if not isinstance(path, str):
        raise InvalidKeyError(f"path must be str, not {type(path).__name__}", place=place)
    if not 1 <= len(path) <= MAX_PATH_CHARACTERS:
        raise InvalidKeyError(f"path must have 1 to {MAX_PATH_CHARACTERS} characters, got {len(path)}", place=place)
    for start in range(0, len(path), MAX_NAME_CHARACTERS):
        check_name(path[start : start + MAX_NAME_CHARACTERS], place)
    if "\\" in path:
        raise InvalidKeyError(f"path must have slashes and no backslash, got {shown(path)}", place=place)
    _check_parts(path, "path", place)
    return path


def _check_parts(text: str, what: str, place: str, *, parents_only: bool = False) -> None:
    parts = text.split("/")
    if "" in parts:
        raise InvalidKeyError(
            f"{what} must not begin or end with a slash or have two in a row, got {shown(text)}", place=place
        )
    if ".." in parts or "." in parts or (parents_only and ".." in text):
        raise InvalidKeyError(f"{what} must not contain . or .. as a part, got {shown(text)}", place=place)


def check_files(files: object) -> dict[str, bytes]:
    """The files of a version by path, in the order of their paths. An error names the place: files, or files[<path>]."""
    if not isinstance(files, Mapping):
        raise ValidationError(f"files must be a mapping of path to bytes, not {type(files).__name__}", place="files")
    if len(files) > MAX_FILES:
        raise ValidationError(f"files must have at most {MAX_FILES:,} entries, got {len(files):,}", place="files")
    checked = {}
    for path, content in files.items():
        place = _place(path)
        checked[check_file_path(path, place)] = as_bytes(content, place, MAX_FILE_BYTES)
    total = sum(map(len, checked.values()))
    if total > MAX_FILES_BYTES:
        raise ValidationError(
            f"files must have at most {MAX_FILES_BYTES:,} bytes together, got {total:,}", place="files"
        )
    return dict(sorted(checked.items()))


def _place(path: object) -> str:
    return f"files[{path if isinstance(path, str) and path.isprintable() else shown(path)}]"


def with_digests(files: Mapping[str, bytes]) -> list[File]:
    """Each file with its digest. O(bytes)."""
    return [File(path, content, digest_of(content)) for path, content in files.items()]


def files_digest(digests: Iterable[tuple[str, str]]) -> str:
    """The digest of a version: hex SHA-256 over a line `<digest> <path>` for each file, in the order of the paths."""
    lines = "".join(f"{digest} {path}\n" for path, digest in sorted(digests))
    return hashlib.sha256(lines.encode()).hexdigest()


def check_reason(reason: object) -> str:
    """Why a version is deprecated: it must be said."""
    text = check_text(reason, "reason", MAX_DESCRIPTION_CHARACTERS)
    if not text.strip():
        raise ValidationError("reason must say why the version is deprecated, got an empty text", place="reason")
    return text


def check_replacement(replaced_by: object) -> str | None:
    """What takes the place of a deprecated version: a version, a module, or any text."""
    if replaced_by is None:
        return None
    if not (text := check_text(replaced_by, "replaced_by", MAX_NAME_CHARACTERS)):
        raise ValidationError("replaced_by must be None or a text that is not empty", place="replaced_by")
    return text
