"""The .proto files of a folder: found, checked, and read, without trusting that it stays as it was."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tierstore.errors import ValidationError, raise_alone
from tierstore.plan.arguments import shown
from tierstore.plan.imports import PROTO
from tierstore.plan.modules import MAX_FILE_BYTES, MAX_FILES, MAX_FILES_BYTES, check_file_path
from tierstore.stores.modules.reports import SkippedFile

READING = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
READING |= getattr(os, "O_BINARY", 0)
"""A link that takes a file's place is not followed, and a pipe that does is not waited for."""
LEADS_OUT = "a symbolic link that leads out of the folder"


class FoundFile(NamedTuple):
    """A file of a version to be: the path that it gets there, and where it lies."""

    path: str
    place: str
    size: int


class Tree(NamedTuple):
    """What a folder has for one version."""

    files: tuple[FoundFile, ...]
    skipped: tuple[SkippedFile, ...]


def check_folder(folder: object) -> str:
    """`folder` without links in it. ValidationError if it is none that can be read."""
    if not isinstance(folder, (str, os.PathLike)) or not isinstance(text := os.fspath(folder), str):
        raise ValidationError(f"folder must be str or os.PathLike, not {type(folder).__name__}", place="folder")
    if not text or "\0" in text or not stat.S_ISDIR(_mode(text)):
        raise ValidationError(f"there is no folder {shown(text)}", place="folder")
    return os.path.realpath(text)


def find(folder: str, within: str, *, relative_to: str) -> Tree:
    """The .proto files below `folder`, by paths from `relative_to`. Links may lead to files below `within`.

    ValidationError names a file that cannot be part of a version: then there is no version without it either.
    """
    finder = _Finder(within, relative_to)
    left = [folder]
    while left:
        left += finder.look(left.pop())
    return Tree(tuple(sorted(finder.files)), tuple(sorted(finder.skipped, key=lambda each: each.path)))


class _Finder:
    def __init__(self, within: str, relative_to: str) -> None:
        self.files: list[FoundFile] = []
        self.skipped: list[SkippedFile] = []
        self._within, self._relative_to = within, relative_to
        self._bytes = 0

    def look(self, folder: str) -> list[str]:
        """Take the files of one folder; returns the folders in it."""
        entries = listed(folder)
        for entry in entries:
            if entry.is_symlink():
                self._link(entry)
            elif entry.is_file(follow_symlinks=False):
                if entry.name.endswith(PROTO):
                    self._take(self._path(entry), entry.path)
            elif entry.name.endswith(PROTO) and not entry.is_dir(follow_symlinks=False):
                self._skip(entry, "not a regular file")
        return [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]

    def _link(self, entry: os.DirEntry[str]) -> None:
        target = os.path.realpath(entry.path)
        mode, named = _mode(target), entry.name.endswith(PROTO)
        is_folder = stat.S_ISDIR(mode)
        if not is_folder and not named:
            return
        if not (target + os.sep).startswith(self._within.rstrip(os.sep) + os.sep):
            self._skip(entry, LEADS_OUT)
        elif is_folder:
            self._skip(entry, "a symbolic link to a folder")
        elif not stat.S_ISREG(mode):
            self._skip(entry, "a symbolic link to no regular file")
        else:
            self._take(self._path(entry), target)

    def _skip(self, entry: os.DirEntry[str], reason: str) -> None:
        self.skipped.append(SkippedFile(readable(self._path(entry)), reason))

    def _path(self, entry: os.DirEntry[str]) -> str:
        return os.path.relpath(entry.path, self._relative_to).replace(os.sep, "/")

    def _take(self, path: str, place: str) -> None:
        check_file_path(path, readable(path))
        try:
            size = Path(place).stat().st_size
        except OSError as error:
            raise_alone(_unreadable(path, error))
        _check_size(path, size)
        self._bytes += size
        self.files.append(FoundFile(path, place, size))
        if len(self.files) > MAX_FILES or self._bytes > MAX_FILES_BYTES:
            limit = f"at most {MAX_FILES:,} files and {MAX_FILES_BYTES:,} bytes of them together"
            raise ValidationError(f"the folder has more than one version may have: {limit}", place="folder")


def read(found: Sequence[FoundFile]) -> dict[str, bytes]:
    """The contents by path. ValidationError for a file that vanished, or became something else."""
    return dict(_contents(found))


def _contents(found: Sequence[FoundFile]) -> Iterator[tuple[str, bytes]]:
    for path, place, _ in found:
        try:
            with open(place, "rb", opener=_open) as file:
                status = os.fstat(file.fileno())
                regular = stat.S_ISREG(status.st_mode)
                if regular:
                    _check_size(path, status.st_size)
                    yield path, file.read()
        except OSError as error:
            raise_alone(_unreadable(path, error))
        if not regular:
            raise ValidationError("the file is not a regular one any more", place=readable(path))


def _open(place: str, _flags: int) -> int:
    return os.open(place, READING)


def _unreadable(path: str, error: OSError) -> ValidationError:
    return ValidationError(f"the file cannot be read: {error.strerror or error}", place=readable(path))


def _check_size(path: str, size: int) -> None:
    if size > MAX_FILE_BYTES:
        text = f"the file has {size:,} bytes; a file of a module has at most {MAX_FILE_BYTES:,}"
        raise ValidationError(text, place=readable(path))


def listed(folder: str) -> list[os.DirEntry[str]]:
    """What lies in a folder, by name. ValidationError if it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise_alone(ValidationError(f"{readable(folder)} cannot be read: {error.strerror or error}", place="folder"))


def _mode(path: str) -> int:
    """Of what lies there, past links; 0 for what cannot be looked at."""
    try:
        return Path(path).stat().st_mode
    except OSError:
        return 0


def readable(path: str) -> str:
    """A path with escapes for what has no UTF-8, or would break a line."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in path)
