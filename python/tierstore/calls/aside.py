"""A file that is written beside its place and renamed, so that no half of it is ever found there."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from tierstore._native import uuid7
from tierstore.errors import ValidationError, raise_alone
from tierstore.plan.arguments import check_path
from tierstore.runtime.steps import Steps

FILE_MODE = 0o600
"""An export is its owner's alone, as an embedded store is."""
OPENING = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
"""No symbolic link: whoever plants one beside the export would have its target written."""


class Aside:
    """What is written, in steps: the last one is `finish`; `abandon` ends it before it is whole.

    Each step may run on a thread that its caller has left: `abandon` does not wait for it, and it tidies up at its own end. Errors of the
    file system are ValidationErrors that name the path. `resumable`: what is written has one name and is left there.
    """

    def __init__(self, path: str | os.PathLike[str], *, resumable: bool = False) -> None:
        self._path: Path = check_path(path)
        self._resumable = resumable
        self._beside = self._path.with_name(f".{self._path.name}.{'partial' if resumable else uuid7()}")
        self._file: IO[bytes] | None = None
        self._steps = Steps(self._tidy)

    def _open(self) -> IO[bytes]:
        flags = OPENING if self._resumable else OPENING | os.O_EXCL
        self._file = file = os.fdopen(os.open(self._beside, flags, FILE_MODE), "r+b")
        return file

    def finish(self) -> None:
        """Make it durable, and visible under its name."""
        with self._step() as goes_on:
            if goes_on and self._file is not None:
                self._complete()
                self._file.flush()
                os.fsync(self._file.fileno())
                self._beside.replace(
                    self._path
                )  # before it is closed, which unlocks it: who resumes would write into what is whole
                self._file.close()

    def _complete(self) -> None:
        """Write what has to stand at the end."""

    def abandon(self) -> None:
        """End it before it is whole."""
        self._steps.abandon()

    def _tidy(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):  # a full disk takes no last bytes either
                self._file.close()
            if not self._resumable:
                with contextlib.suppress(OSError):
                    self._beside.unlink()

    @contextlib.contextmanager
    def _step(self) -> Iterator[bool]:
        """Around each step: whether there is still something to do."""
        try:
            with self._steps.step() as goes_on:
                yield goes_on
        except OSError as error:
            raise_alone(ValidationError(f"{self._path} cannot be written: {error.strerror}", place="path"))
