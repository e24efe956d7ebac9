"""The files of a version as one zip file, whose bytes depend on nothing but the files."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from typing import Final

from tierstore.calls.aside import Aside
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


class ZipAside(Aside):
    """A zip file under way: `open`, `write`, `finish`; `abandon` leaves nothing.

    Contents are stored as they are: what a compressor writes depends on its version.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path)
        self._zip: zipfile.ZipFile | None = None

    def open(self) -> None:
        """Make the file beside its place."""
        with self._step() as goes_on:
            if goes_on:
                self._zip = zipfile.ZipFile(self._open(), "w", zipfile.ZIP_STORED)

    def write(self, entries: Mapping[str, bytes]) -> None:
        """Append files, with their contents by path."""
        with self._step() as goes_on:
            if goes_on and self._zip is not None:
                for path, content in entries.items():
                    self._zip.writestr(_entry(path), content)

    def _complete(self) -> None:
        if self._zip is not None:
            self._zip.close()

    def _tidy(self) -> None:
        if self._zip is not None:
            self._zip.fp = None  # its own end would write a directory of what is thrown away
        super()._tidy()


def _entry(path: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(path, FIRST_TIME)
    entry.create_system = UNIX
    entry.external_attr = ENTRY_MODE << 16
    return entry
