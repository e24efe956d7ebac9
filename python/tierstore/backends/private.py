"""Files and folders of an embedded store: made for their owner alone. What was there keeps its mode, which somebody chose."""

from __future__ import annotations

import os
import stat
from pathlib import Path

FILE_MODE = 0o600
FOLDER_MODE = 0o700
OTHERS = stat.S_IRWXG | stat.S_IRWXO


def make_folder(path: Path) -> None:
    """Make the folder, if it is not there; the folders above it as the system makes them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=FOLDER_MODE, exist_ok=True)


def make_file(path: Path) -> None:
    """Make the file, empty, if it is not there. What SQLite puts beside its database gets the mode of that."""
    os.close(open_private(os.fspath(path), os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)))


def open_private(path: str, flags: int) -> int:
    """An `opener` for `open`."""
    return os.open(path, flags, FILE_MODE)


def open_to_others(path: Path) -> str | None:
    """What to warn of where others than the owner may use the folder."""
    if os.name != "posix":
        return None
    mode = stat.S_IMODE(path.stat().st_mode)
    if not mode & OTHERS:
        return None
    return f"the folder {path} is open to other users (mode {mode:04o}): run chmod 700 on it, unless they may read what is stored"
