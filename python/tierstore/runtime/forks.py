"""How many forks lie between this process and the one that imported tierstore: the one place that counts them in Python."""

from __future__ import annotations

import os

_count = 0


def generation() -> int:
    """Rises by one in every forked child. Read with every call: getpid() would be a system call."""
    return _count


def _in_child() -> None:
    global _count
    _count += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
