"""`python -m benches [NAME …]`: run benches by name; without names, list them.

A bench with a `main` prints ratios of one run, ours beside its rivals. The others are pytest-benchmark suites.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
SUITES = ("cache_operations", "serialization", "concurrent_access", "cache_hit_rates")


def names() -> list[str]:
    return [path.stem for path in sorted(HERE.glob("*.py")) if is_bench(path)]


def is_bench(path: Path) -> bool:
    text = path.read_text()
    return path.stem in SUITES or ("\ndef main(" in text and not path.stem.startswith("_"))


def main() -> None:
    chosen = [name for name in sys.argv[1:] if not name.startswith("-")]
    if not chosen:
        print("choose with BENCH=NAME:", ", ".join(names()))
    for name in chosen:
        if name in SUITES:
            command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(HERE / f"{name}.py")]
            columns = "--benchmark-columns=min,median,ops"
            subprocess.run([*command, columns, "--benchmark-sort=mean", "-s"], check=True)
        else:
            importlib.import_module(f"benches.{name}").main()


if __name__ == "__main__":
    main()
