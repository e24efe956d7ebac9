"""What `open` is given: a folder or a database's address. What looks like another address never becomes a folder."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

import tierstore
from tierstore import CacheConfig, Config
from tierstore.errors import ConfigError
from tierstore.store import as_config

SECRET = "s3cret"
ADDRESSES = (
    f"redis://:{SECRET}@cache/0",
    f"rediss://app:{SECRET}@cache:6380",
    f"s3://{SECRET}@bucket/prefix",
    f"mysql+pymysql://app:{SECRET}@db/prod",
    "sqlite:///store.db",
    "sqlite:store.db",
    ":memory:",
    "file:store",
    "file:///srv/store",
    "http://host/store",
    "https:host",
    f"host=db user=app password={SECRET} dbname=prod",
    f"dbname=prod password = '{SECRET} @ /'",
    f"Server=db;Password={SECRET}",
    f"app:{SECRET}@db/prod",
    f"app:{SECRET}/@#?@db",
    f"{SECRET}@db",
    "db.internal:5432/prod",
    "localhost:6379",
    "[::1]:5432",
    "unix:/run/postgres",
)
FOLDERS = (
    "data",
    "data/",
    "./redis:1",
    "~/data",
    "/srv/2026-01-31T10:00",
    "a b",
    "year=2026",
    "v1.2:rc",
    "données",
)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(error: ConfigError) -> None:
    text = str(error)
    assert "path" in text
    assert "address" in text
    assert SECRET not in text
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_makes_no_folder(address: str):
    async def opening() -> None:
        await tierstore.open(address)

    for attempt in (
        lambda: asyncio.run(opening()),
        lambda: tierstore.blocking.open(address),
        lambda: Config(address),
        lambda: tierstore.blocking.open(Path(address)),
        lambda: Config.from_env({"TIERSTORE_PATH": address}),
    ):
        with pytest.raises(ConfigError) as caught:
            attempt()
        refused(caught.value)


def test_nor_does_one_in_a_file(here: Path):
    (here / "settings.toml").write_text(f'[storage]\npath = "redis://:{SECRET}@cache"\n')
    with pytest.raises(ConfigError) as caught:
        Config.from_toml("settings.toml")
    Path("settings.toml").unlink()
    refused(caught.value)


@pytest.mark.parametrize(
    "address", [f"redis://:{SECRET}@cache", ":memory:", f"postgresql://app:{SECRET}@127.0.0.1:1/x"]
)
def test_nor_does_one_on_the_command_line(here: Path, address: str):
    command = [sys.executable, "-m", "tierstore.cli", "--path", address, "health"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 1
    assert SECRET not in done.stdout + done.stderr
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_what_names_a_folder_is_one(folder: str):
    assert as_config(folder).path == folder


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg", "postgres+asyncpg", "POSTGRESQL"])
def test_the_address_of_a_database_opens_it(face, database: str, scheme: str, here: Path):
    address = scheme + database[database.index("://") :]
    if face.name == "async":

        async def opening() -> bool:
            async with tierstore.open(address) as store:
                await store.schemas.register("a", "1.0.0", b"{}")
                return (await store.health()).ok

        assert asyncio.run(opening())
    else:
        with tierstore.blocking.open(address) as store:
            store.schemas.register("a", "1.0.0", b"{}")
            assert store.health().ok
    with tierstore.blocking.open(Config(postgres=tierstore.PostgresConfig(database))) as store:
        assert store.schemas.get_latest("a") is not None
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("name", ["a.toml", "file"])
def test_a_file_is_no_folder(here: Path, name: str):
    if name == "file":
        (here / name).write_text("")
    before = list(here.iterdir())
    with pytest.raises(ConfigError, match=r"from_toml"):
        tierstore.blocking.open(name)
    assert list(here.iterdir()) == before


def test_a_folder_is_found_once(here: Path, monkeypatch: pytest.MonkeyPatch):
    """Neither another working directory nor a link that is turned moves an open store, nor a child of it."""
    (here / "one").mkdir()
    (here / "link").symlink_to("one")
    with tierstore.blocking.open(Config("link", cache=CacheConfig(max_entries=1, max_bytes=1))) as store:
        large = store.schemas.register("large", "1.0.0", b'"' + b"x" * 2_000_000 + b'"')
        (here / "link").unlink()
        (here / "link").symlink_to("two")
        (here / "elsewhere").mkdir()
        os.chdir("elsewhere")
        child = os.fork()
        if child == 0:
            try:
                store.schemas.register("child", "1.0.0", b"{}")
                store.close()
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        assert store.schemas.get_latest("child", read="latest") is not None
        assert store.schemas.get(large.id).content == b'"' + b"x" * 2_000_000 + b'"'
        assert store.health().ok
        assert list(Path().iterdir()) == []
    assert not (here / "two").exists()


def test_the_home_of_the_user_is_found(here: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(here / "home"))
    with tierstore.blocking.open("~/data") as store:
        store.schemas.register("a", "1.0.0", b"{}")
    assert (here / "home" / "data" / "tierstore.db").exists()
    assert [path.name for path in here.iterdir()] == ["home"]
