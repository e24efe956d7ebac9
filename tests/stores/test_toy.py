"""A store joins by one line: a small one is planted in a copy of the package, and has there whatever the roster gives."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tierstore
from tests.servers.redis import Redis

ROOT, TOY = Path(__file__).parents[2], Path(__file__).parent / "toy"
LINE = "    schemas: SchemaStore\n"
HELD = [
    "spans",
    "one transaction with the other stores, invalidated at its commit",
    "health and statistics",
    "errors by name",
    "flushed at close, warmed at open",
    "the blocking face",
    "the stub of the blocking face",
]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to put before the import path: the package with the toy store in it."""
    folder = tmp_path_factory.mktemp("planted")
    package = folder / "tierstore"
    shutil.copytree(Path(tierstore.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(TOY / "notes.py", package / "stores" / "notes.py")
    for dialect in ("sqlite", "postgres"):
        for file in (TOY / "sql" / dialect).iterdir():
            kind = "migrations" if file.name[0].isdigit() else "queries"
            shutil.copy(file, package / "sql" / dialect / kind / file.name)
    roster = package / "stores" / "__init__.py"
    text = roster.read_text()
    assert text.count(LINE) == 1
    joined = text.replace(LINE, LINE + "    notes: NoteStore\n").replace(
        "from tierstore.stores.schemas",
        "from tierstore.stores.notes import NoteStore\nfrom tierstore.stores.schemas",
        1,
    )
    roster.write_text(joined)
    return folder


def run(planted: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **variables, "PYTHONPATH": str(planted)}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=110)


def test_a_planted_store_has_all_on_sqlite(planted: Path, tmp_path: Path):
    (tmp_path / "config.toml").write_text(f'[storage]\npath = "{tmp_path / "store"}"\n')
    done = run(planted, "-m", "tests.stores.toy.check", str(tmp_path / "config.toml"))
    assert (done.stdout.splitlines(), done.returncode) == (HELD, 0), done.stderr


def test_a_planted_store_has_all_on_servers(planted: Path, tmp_path: Path, database: str, redis_server: Redis):
    backend = f'[storage.backend]\ntype = "postgres"\nurl = "{database}"\n'
    (tmp_path / "config.toml").write_text(f'{backend}[storage.cache]\nurl = "{redis_server.url}"\n')
    done = run(planted, "-m", "tests.stores.toy.check", str(tmp_path / "config.toml"))
    assert (done.stdout.splitlines(), done.returncode) == (HELD, 0), done.stderr


def test_a_planted_store_conforms(planted: Path, postgres, redis_server: Redis, s3_server):
    """The very suite of the real stores, with the planted one in the roster."""
    suite = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/stores/test_conformance.py", "-k", "notes"]
    s3 = s3_server.endpoint_url.replace("://", f"://{s3_server.access_key}:{s3_server.secret_key}@")
    servers = {"POSTGRES_URL": postgres.url, "REDIS_URL": redis_server.url, "S3_URL": s3}
    done = run(planted, *suite, **{f"TIERSTORE_TEST_{name}": url for name, url in servers.items()})
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
    assert " passed" in done.stdout
    assert "failed" not in done.stdout
