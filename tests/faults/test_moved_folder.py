"""An embedded folder that is removed or replaced under an open store: no write is acknowledged into files that nobody finds again."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import tierstore
from tierstore.store import parts_of

LARGE = b'"' + b"x" * 2_000_000 + b'"'


def removed(folder: Path) -> None:
    shutil.rmtree(folder)


def moved(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))


def copied_back(folder: Path) -> None:
    moved(folder)
    shutil.copytree(folder.with_name("elsewhere"), folder)


def restored(folder: Path) -> None:
    """One file, as a backup's tool puts it back."""
    shutil.copy(folder / "tierstore.db", folder / "copy")
    (folder / "copy").rename(folder / "tierstore.db")


def without_log(folder: Path) -> None:
    (folder / "tierstore.db-wal").unlink()


async def error_of(call: Callable[[], object]) -> tierstore.StorageError | None:
    try:
        await call()
    except tierstore.StorageError as error:
        return error
    return None


@pytest.mark.parametrize(
    "happened", [removed, moved, copied_back, restored, without_log], ids=lambda each: each.__name__
)
def test_writes_are_refused_and_health_says_so(face, tmp_path: Path, happened: Callable[[Path], None]):
    folder = tmp_path / "store"

    async def scenario() -> None:
        store = await tierstore.Store.opened(tierstore.Config(folder), face.runtime(), tierstore.telemetry.OFF)
        try:
            kept = await store.schemas.register("a", "1.0.0", b"{}")
            happened(folder)
            for content in (b"{}", LARGE):
                error = await error_of(lambda content=content: store.schemas.register("b", "1.0.0", content))
                assert isinstance(error, tierstore.ConnectionError)
                assert str(folder) in str(error)
                assert "re" in str(error)
            error = await error_of(lambda: store.schemas.delete(kept.id))
            assert isinstance(error, tierstore.ConnectionError)
            health = await store.health()
            assert not health.tiers["database"].ok
            assert str(folder) in health.tiers["database"].detail
        finally:
            await store.close()

    face.run(scenario)


def test_a_store_goes_on_when_its_folder_is_back(face, tmp_path: Path):
    folder = tmp_path / "store"

    async def scenario() -> None:
        store = await tierstore.Store.opened(tierstore.Config(folder), face.runtime(), tierstore.telemetry.OFF)
        try:
            moved(folder)
            assert isinstance(
                await error_of(lambda: store.schemas.register("b", "1.0.0", LARGE)), tierstore.ConnectionError
            )
            (tmp_path / "elsewhere").rename(folder)
            made = await store.schemas.register("b", "1.0.0", LARGE)
            assert (await store.schemas.get(made.id)).content == LARGE
            assert (await store.health()).tiers["database"].ok
        finally:
            await store.close()

    face.run(scenario)


def test_a_new_reading_connection_opens_no_other_file(face, tmp_path: Path):
    """The database that another put in its place is not read, and none is made where there is none."""
    folder = tmp_path / "store"

    async def scenario() -> None:
        store = await tierstore.Store.opened(tierstore.Config(folder), face.runtime(), tierstore.telemetry.OFF)
        try:
            readers = parts_of(store).records._readers
            copied_back(folder)
            (folder / "tierstore.db").unlink()
            taken = [readers.take() for _ in range(readers.idle)]
            with pytest.raises(tierstore.ConnectionError):
                readers.take()
            assert not (folder / "tierstore.db").exists()
            for connection in taken:
                readers.give(connection)
        finally:
            await store.close()

    face.run(scenario)


def test_only_the_objects_are_gone(face, tmp_path: Path):
    """Content goes into the database then, and health names the folder."""
    folder = tmp_path / "store"

    async def scenario() -> None:
        store = await tierstore.Store.opened(tierstore.Config(folder), face.runtime(), tierstore.telemetry.OFF)
        try:
            shutil.rmtree(folder / "objects")
            made = await store.schemas.register("b", "1.0.0", LARGE)
            assert made.placement == "row"
            health = await store.health()
            assert not health.tiers["objects"].ok
            assert str(folder / "objects") in health.tiers["objects"].detail
        finally:
            await store.close()

    face.run(scenario)


def test_a_job_notices_it_without_a_call(tmp_path: Path):
    """Its carrier is not heard from then on, so that caches are not trusted either."""
    folder = tmp_path / "store"
    with tierstore.blocking.open(folder) as store:
        freshness = parts_of(store._inner).engine.freshness
        moved(folder)
        until = time.monotonic() + 10
        while freshness.is_fresh() and time.monotonic() < until:
            time.sleep(0.02)
        assert not freshness.is_fresh()
        assert any("no invalidation channel" in warning for warning in store.health().warnings)
