"""A store opened with `read_only=True` reads as any other, changes nothing, and needs no right to."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg
import pytest

import tierstore
from tierstore import Config, PostgresConfig
from tierstore.cli.app import cli
from tierstore.errors import StorageError, UnsupportedError

LARGE = b'{"text": "' + b"x" * 1_500_000 + b'"}'


def filled(config) -> dict[str, str]:
    with tierstore.blocking.open(config) as store:
        ids = {
            "small": store.schemas.register("orders", "1.0.0", b"{}", description="about orders").id,
            "large": store.schemas.register("orders", "2.0.0", LARGE).id,
        }
        store.state.set("key", {"a": 1})
    return ids


def files_in(folder) -> dict[str, tuple[int, int]]:
    return {path.name: (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def folder(tmp_path):
    filled(tmp_path / "store")
    return tmp_path / "store"


async def reads(store) -> None:
    latest = await store.schemas.get_latest("orders")
    assert bytes(latest.content) == LARGE
    assert await store.schemas.get_many([latest.id]) == [latest]
    assert [hit.schema.subject for hit in (await store.schemas.search("order")).items] == ["orders", "orders"]
    assert await store.state.get("key") == {"a": 1}
    assert (await store.statistics()).stores["schemas"].total_schemas == 2
    assert all(tier.ok for tier in (await store.health()).tiers.values())


async def refusals(store) -> None:
    schema = await store.schemas.get_version("orders", "1.0.0")

    async def transaction():
        async with store.transaction() as tx:
            await tx.schemas.register("a", "1.0.0", b"{}")

    calls = [
        lambda: store.schemas.register("a", "1.0.0", b"{}"),
        lambda: store.schemas.register("a", "1.0.0", LARGE + b" "),
        lambda: store.schemas.register_many([{"subject": "a", "version": "1.0.0", "content": b"{}"}]),
        lambda: store.schemas.set_state(schema.id, "deprecated"),
        lambda: store.schemas.delete(schema.id),
        lambda: store.schemas.purge(schema.id),
        lambda: store.schemas.restore(schema.id),
        lambda: store.state.set("key", 2),
        lambda: store.state.delete("key"),
        lambda: store.state.increment("count"),
        lambda: store.blobs.sweep(dry_run=False),
        lambda: store.migrate(),
        transaction,
    ]
    for number, call in enumerate(calls):
        try:
            await call()
        except UnsupportedError as error:
            assert "read_only=True" in str(error), number  # noqa: PT017
        else:
            assert call is calls[11], f"call {number} was not refused"  # nothing to migrate


def test_a_folder_is_read_and_left_as_it_was(face, folder):
    before = files_in(folder)

    async def run():
        config = tierstore.store.as_config(folder, read_only=True)
        store = await tierstore.store.Store.opened(config, face.runtime(), tierstore.telemetry.OFF)
        try:
            await reads(store)
            await refusals(store)
        finally:
            await store.close()

    face.run(run)
    assert files_in(folder) == before


def test_what_another_process_writes_is_read(folder):
    async def run():
        async with tierstore.open(folder, read_only=True) as reader:
            await reads(reader)
            for version in ("3.0.0", "4.0.0"):
                async with tierstore.open(folder) as writer:
                    await writer.schemas.register("orders", version, b"[]")
                    assert (await reader.schemas.get_version("orders", version, read="latest")).version == version
            async with tierstore.open(folder, read_only=True) as second:
                latest = await second.schemas.get_latest("orders")
                assert latest == await reader.schemas.get_latest("orders", read="latest")
                assert latest.version == "4.0.0"

    asyncio.run(run())


def test_a_folder_that_lacks_a_migration_is_refused_and_not_migrated(tmp_path):
    empty = tmp_path / "empty"
    with pytest.raises(StorageError):
        tierstore.blocking.open(empty, read_only=True)
    assert not empty.exists()


AS_NOBODY = """
import os, sys
import tierstore

def look(store):
    return store.schemas.get_latest("orders"), store.state.get("key")

with tierstore.blocking.open(sys.argv[2]) as store:
    look(store)  # imports what a user without rights may not
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
assert not os.access(sys.argv[1], os.W_OK)
with tierstore.blocking.open(sys.argv[1], read_only=True) as store:
    latest, value = look(store)
    print(latest.version, value)
"""


@pytest.mark.parametrize("with_writer", [False, True])
def test_a_folder_that_nobody_may_write_is_read(folder, tmp_path, with_writer):
    """As another user, so that the modes of files count for a run by root too."""
    shared = Path(tempfile.mkdtemp(prefix="tierstore-read-only-"))
    shared.chmod(0o755)
    place = shared / "store"
    shutil.copytree(folder, place)
    with contextlib.ExitStack() as held:
        held.callback(shutil.rmtree, shared)
        if with_writer:
            writer = held.enter_context(tierstore.blocking.open(place))
            writer.schemas.register("orders", "9.0.0", b"[]")
        inside = [place, *place.rglob("*")]
        for path in inside:
            path.chmod(0o555 if path.is_dir() else 0o444)
        done = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, str(place), str(tmp_path / "own")],
            capture_output=True,
            text=True,
            timeout=60,
        )
        for path in inside:
            path.chmod(0o755)
    assert (done.returncode, done.stdout) == (0, f"{'9' if with_writer else '2'}.0.0 {{'a': 1}}\n"), done.stderr


def test_a_role_that_may_only_select_is_enough(face, database):
    ids = filled(Config(postgres=PostgresConfig(database)))
    role = f"reader{os.getpid()}"
    name = database.rsplit("/", 1)[1]
    with psycopg.connect(database, autocommit=True) as admin:
        admin.execute(f"DROP ROLE IF EXISTS {role}")
        admin.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'only-for-tests'")
        admin.execute(f"GRANT USAGE ON SCHEMA public TO {role}")
        admin.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    parts = psycopg.conninfo.conninfo_to_dict(database)
    url = f"postgresql://{role}:only-for-tests@{parts['host']}:{parts['port']}/{name}"

    async def run():
        config = Config(postgres=PostgresConfig(url, min_connections=0), read_only=True)
        store = await tierstore.store.Store.opened(config, face.runtime(), tierstore.telemetry.OFF)
        try:
            await reads(store)
            await refusals(store)
            assert (await store.schemas.get(ids["small"])).version == "1.0.0"
        finally:
            await store.close()

    try:
        face.run(run)
    finally:
        with psycopg.connect(database, autocommit=True) as admin:
            admin.execute(f"DROP OWNED BY {role}")
            admin.execute(f"DROP ROLE {role}")


def test_the_setting_has_a_variable_and_a_key(tmp_path):
    file = tmp_path / "store.toml"
    file.write_text('[storage]\npath = "data"\nread_only = true\n')
    assert Config.from_toml(file).read_only
    assert Config.from_env({"TIERSTORE_PATH": "data", "TIERSTORE_READ_ONLY": "true"}).read_only
    assert not Config.from_env({"TIERSTORE_PATH": "data"}).read_only


def test_the_command_line_reads_only_where_it_is_told_to(folder, tmp_path):
    from click.testing import CliRunner

    before = files_in(folder)
    shown = CliRunner().invoke(cli, ["--path", str(folder), "--read-only", "--json", "show", "orders"])
    assert shown.exit_code == 0, shown.output
    assert json.loads(shown.output)
    assert files_in(folder) == before
    (tmp_path / "one.json").write_text("{}")
    refused = CliRunner().invoke(cli, ["--path", str(folder), "--read-only", "import", str(tmp_path)])
    assert refused.exit_code != 0
    assert files_in(folder) == before
