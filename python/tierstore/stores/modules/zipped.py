"""The files of a version as one zip file, whose bytes depend on nothing but the files."""

from __future__ import annotations

import contextlib
import os
import zipfile
from collections.abc import Iterator, Mapping
from typing import IO, Final

from tierstore._native import uuid7
from tierstore.calls.lines import FILE_MODE, OPENING
from tierstore.errors import ValidationError, raise_alone
from tierstore.plan.arguments import check_path
from tierstore.runtime.steps import Steps
from tierstore.stores.modules.model import FileInfo
from tierstore.stores.modules.reading import Reading, in_parts

FIRST_TIME: Final = (1980, 1, 1, 0, 0, 0)
"""The earliest that the format knows; no entry tells when it was written."""
UNIX: Final = 3
"""Of the two systems whose rights an entry may have; zipfile would write the one that it runs on."""
ENTRY_MODE: Final = 0o100644


async def export(reading: Reading, files: Mapping[str, FileInfo], path: str | os.PathLike[str]) -> int:
    """Write the files, in the order of their paths; returns how many."""
    call, target = reading.parts.runtime.call, ZipAside(path)
    try:
        await call(target.open, deadline=reading.deadline)
        for paths in in_parts((path, files[path].size) for path in sorted(files)):
            contents = await reading.contents([files[each] for each in paths])
            entries = {each: contents[files[each].digest] for each in paths}
            await call(target.write, entries, deadline=reading.deadline)
        await call(target.finish, deadline=reading.deadline)
    except BaseException:
        target.abandon()
        raise
    return len(files)


class ZipAside:
    """A zip file that is written beside its place: `open`, `write`, `finish`; `abandon` leaves nothing.

    As for `LinesFile`, each step may run on a thread that its caller has left. Contents are stored as they are: what a
    compressor writes depends on its version.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = check_path(path)
        self._beside = self._path.with_name(f".{self._path.name}.{uuid7()}")
        self._file: IO[bytes] | None = None
        self._zip: zipfile.ZipFile | None = None
        self._steps = Steps(self._tidy)

    def open(self) -> None:
        with self._step() as goes_on:
            if goes_on:
                self._file = os.fdopen(os.open(self._beside, OPENING | os.O_EXCL, FILE_MODE), "w+b")
                self._zip = zipfile.ZipFile(self._file, "w", zipfile.ZIP_STORED)

    def write(self, entries: Mapping[str, bytes]) -> None:
        with self._step() as goes_on:
            if goes_on and self._zip is not None:
                for path, content in entries.items():
                    self._zip.writestr(_entry(path), content)

    def finish(self) -> None:
        """Make it durable, and visible under its name."""
        with self._step() as goes_on:
            if goes_on and self._zip is not None and self._file is not None:
                self._zip.close()
                self._file.flush()
                os.fsync(self._file.fileno())
                self._file.close()
                self._beside.replace(self._path)

    def abandon(self) -> None:
        self._steps.abandon()

    def _tidy(self) -> None:
        if self._file is not None:
            if self._zip is not None:
                self._zip.fp = None  # its own end would write a directory of what is thrown away
            with contextlib.suppress(OSError):
                self._file.close()
            with contextlib.suppress(OSError):
                self._beside.unlink()

    @contextlib.contextmanager
    def _step(self) -> Iterator[bool]:
        try:
            with self._steps.step() as goes_on:
                yield goes_on
        except OSError as error:
            raise_alone(ValidationError(f"{self._path} cannot be written: {error.strerror}", place="path"))


def _entry(path: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(path, FIRST_TIME)
    entry.create_system = UNIX
    entry.external_attr = ENTRY_MODE << 16
    return entry
