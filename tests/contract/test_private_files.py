"""What an embedded store keeps is for its owner alone; a folder that was there keeps its mode, and is warned of."""

from __future__ import annotations

import asyncio
import logging
import os
import stat

import pytest

import tierstore

BIG = b'{"a": "' + b"x" * 2_000_000 + b'"}'


@pytest.fixture(params=[0o022, 0o000])
def umask(request):
    """A generous one, as services often have."""
    before = os.umask(request.param)
    yield
    os.umask(before)


def filled(folder):
    async def scenario():
        async with tierstore.open(folder) as store:
            await store.schemas.register("subject", "1.0.0", b"{}")
            await store.schemas.register("subject", "2.0.0", BIG)
            modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [folder, *folder.rglob("*")]}
            return modes, (await store.health()).warnings

    return asyncio.run(scenario())


def test_files_are_made_for_their_owner_alone(tmp_path, umask):
    modes, warnings = filled(tmp_path / "above" / "store")
    assert len(modes) > 5
    for path, mode in modes.items():
        assert mode == (0o700 if path.is_dir() else 0o600), path
    assert warnings == ()


def test_an_export_is_for_its_owner_alone(tmp_path, umask):
    async def scenario():
        async with tierstore.open(tmp_path / "store") as store:
            await store.schemas.export(tmp_path / "out.jsonl")

    asyncio.run(scenario())
    assert stat.S_IMODE((tmp_path / "out.jsonl").stat().st_mode) == 0o600


def test_a_folder_that_was_there_is_left_and_warned_of(tmp_path, umask, caplog):
    folder = tmp_path / "store"
    folder.mkdir()
    folder.chmod(0o755)
    with caplog.at_level(logging.WARNING, "tierstore"):
        modes, warnings = filled(folder)
    assert modes.pop(folder) == 0o755
    assert all(mode == (0o700 if path.is_dir() else 0o600) for path, mode in modes.items())
    (warning,) = warnings
    assert str(folder) in warning
    assert "0755" in warning
    assert "0755" in caplog.text
