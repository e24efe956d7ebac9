"""The machine a result was measured on, and where committed results go."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from tierstore import __version__

RESULTS = Path(__file__).parent / "results"
RIVALS = ("cachebox", "cachetools", "lru-dict", "moka-py", "theine")


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]}, {os.cpu_count()} cores" if names else platform.processor()


def header(contestants: Sequence[str] = RIVALS) -> str:
    """Three lines: processor, system and interpreter, versions."""
    rivals = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in contestants)
    return "\n".join(
        (
            f"# {processor()}",
            f"# {platform.system()} {platform.release()}, {platform.python_implementation()} {sys.version.split()[0]}",
            f"# tierstore {__version__}, {rivals}",
        )
    )


def write(name: str, text: str) -> None:
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / name).write_text(text)
