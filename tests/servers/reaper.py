"""Ends the servers of a run that was killed: pytest-timeout leaves by `_exit`, and a person may send SIGKILL.

The run holds the write end of this process's stdin. Lines are `+pid`, `-pid` and `/folder`; at the end of input every pid still
listed is killed with its children and every folder removed. It runs as a plain script and imports nothing of the project.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
from pathlib import Path


def children(pid: int) -> list[int]:
    """Direct children, as Linux lists them."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(word) for word in text.split()]


def family(pid: int) -> list[int]:
    """The process and all its descendants, parents first."""
    found = [pid]
    for child in found:
        found += children(child)
    return found


def signal_all(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def main() -> None:
    pids: dict[str, None] = {}
    folders: list[str] = []
    for line in sys.stdin:
        sign, rest = line[0], line.strip()[1:]
        if sign == "+":
            pids[rest] = None
        elif sign == "-":
            pids.pop(rest, None)
        else:
            folders.append(sign + rest)
    for pid in pids:
        signal_all(family(int(pid)), signal.SIGKILL)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
