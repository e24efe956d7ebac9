"""Builds wheels for every supported Python, C library and processor on one machine, by zig: `make wheels`.

`python -m tests.house.wheels` builds all of them and the sdist into `dist/`; `… cp311-x86_64` builds one (manylinux, or
`cp311-x86_64-musllinux`), and where that Python is here installs it into an empty venv and tries it.
"""

from __future__ import annotations

import itertools
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
DIST = ROOT / "dist"
PYTHONS = ("cp311", "cp312", "cp313", "cp314", "cp314t")
PROCESSORS = ("x86_64", "aarch64")
LIBRARIES = {"manylinux": ("gnu", "manylinux2014"), "musllinux": ("musl", "musllinux_1_2")}


class Wheel(NamedTuple):
    """One wheel of the set."""

    python: str
    processor: str
    library: str = "manylinux"

    @property
    def interpreter(self) -> str:
        """`python3.14t` for `cp314t`. maturin knows its settings even where it is not installed."""
        return f"python3.{self.python.removeprefix('cp3')}"

    @property
    def target(self) -> str:
        return f"{self.processor}-unknown-linux-{LIBRARIES[self.library][0]}"


ALL = [Wheel(*parts) for parts in itertools.product(PYTHONS, PROCESSORS, LIBRARIES)]


def named(text: str) -> Wheel:
    """The wheel called `cp311-x86_64` or `cp311-x86_64-musllinux`."""
    wheel = Wheel(*text.split("-")) if 2 <= len(text.split("-")) <= 3 else None
    if wheel not in ALL:
        sys.exit(f"no wheel {text!r}: write PYTHON-PROCESSOR or PYTHON-PROCESSOR-musllinux, as in cp313-aarch64")
    return wheel


def prepare(targets: set[str]) -> None:
    """zig as compiler and linker, and Rust's standard library for each target."""
    run(sys.executable, "-m", "pip", "install", "--quiet", "ziglang", "cargo-zigbuild")
    if shutil.which("rustup"):
        run("rustup", "--quiet", "target", "add", *sorted(targets))


def build(wheel: Wheel) -> Path:
    """Build with link-time optimisation; the file's path."""
    with tempfile.TemporaryDirectory(dir=DIST) as folder:
        compatible = ["--compatibility", LIBRARIES[wheel.library][1]]
        maturin(
            "build",
            "--quiet",
            "--release",
            "--zig",
            "--target",
            wheel.target,
            *compatible,
            "-i",
            wheel.interpreter,
            "-o",
            folder,
        )
        (built,) = Path(folder).glob("*.whl")
        return built.rename(DIST / built.name)


def build_sdist() -> Path:
    maturin("sdist", "-o", str(DIST))
    return max(DIST.glob("*.tar.gz"), key=lambda path: path.stat().st_mtime)


def try_out(wheel: Wheel, path: Path) -> None:
    """Install into an empty venv, with the libraries it asks for and nothing else, and run the smoke test there."""
    interpreter = find_interpreter(wheel)
    if interpreter is None:
        print(f"{path.name}: built; not tried, since {wheel.interpreter} for this machine is not here")
        return
    with tempfile.TemporaryDirectory() as folder:
        run(interpreter, "-m", "venv", folder)
        python = str(Path(folder) / "bin" / "python")
        run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(path))
        run(python, "-I", str(ROOT / "tests/house/smoke.py"), cwd=folder)


def find_interpreter(wheel: Wheel) -> str | None:
    """That Python, on the path or among pyenv's, if it runs on this processor and C library."""
    here = "manylinux" if platform.libc_ver()[0] == "glibc" else "musllinux"
    if (wheel.processor, wheel.library) != (platform.machine(), here):
        return None
    others = Path.home().glob(f".pyenv/versions/*/bin/{wheel.interpreter}")
    for name in (sys.executable, wheel.interpreter, *map(str, others)):
        asked = [name, "-c", "import sys, sysconfig; print(sysconfig.get_config_var('SOABI'))"]
        answer = subprocess.run(asked, capture_output=True, text=True, check=False) if shutil.which(name) else None
        if answer and answer.stdout.startswith(f"cpython-{wheel.python.removeprefix('cp')}-"):
            return name
    return None


def maturin(*arguments: str) -> None:
    run("maturin", *arguments)


def run(*command: str, cwd: str | Path = ROOT) -> None:
    """With the venv's programs first: maturin asks `python3` for zig."""
    scripts = Path(sys.executable).parent
    subprocess.run(command, cwd=cwd, env=os.environ | {"PATH": f"{scripts}:{os.environ['PATH']}"}, check=True)


def main(names: list[str]) -> None:
    DIST.mkdir(exist_ok=True)
    wheels = [named(name) for name in names] or ALL
    prepare({wheel.target for wheel in wheels})
    for wheel in wheels:
        path = build(wheel)
        print(f"{path.name}: {path.stat().st_size // 1024} KiB", flush=True)
        if names:
            try_out(wheel, path)
    if not names:
        print(build_sdist().name)


if __name__ == "__main__":
    main(sys.argv[1:])
