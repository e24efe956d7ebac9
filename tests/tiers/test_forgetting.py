"""Old idempotency keys are forgotten by any process that has the store open, one that only writes too. Both engines, both faces."""

from __future__ import annotations

import pytest

from tests.tiers.test_servers import config_of
from tierstore.store import Store, parts_of
from tierstore.telemetry import OFF
from tierstore.tiers import forgetting

KEYS = [f"key {number}" for number in range(5)]
SECONDS = 60.0


@pytest.fixture(params=["sqlite", "postgres"])
def config(request, tmp_path):
    return config_of(request, request.param, tmp_path)


async def register(store, keys):
    for key in keys:
        await store.schemas.register(f"subject of {key}", "1.0.0", b"{}", idempotency_key=key)


async def kept(store):
    """Which of KEYS the database still knows."""
    parts = parts_of(store)
    deadline = parts.runtime.deadline(SECONDS)
    return [key for key in KEYS if await parts.records.fetch("protocol.recall", {"key": key}, deadline=deadline)]


def test_a_process_that_only_writes_forgets(face, config, monkeypatch):
    monkeypatch.setattr(forgetting, "KEPT_S", 0.5)
    monkeypatch.setattr(forgetting, "EVERY_S", 0.1)

    async def story():
        runtime = face.runtime()
        async with await Store.opened(config, runtime, OFF) as store:
            await register(store, KEYS)
            ends = runtime.monotonic() + SECONDS
            while await kept(store):
                assert runtime.monotonic() < ends, "the keys are still there"
                await runtime.sleep(0.05)

    face.run(story)


def test_it_goes_in_bounded_batches_and_keeps_what_is_young(face, config, monkeypatch):
    monkeypatch.setattr(forgetting, "BATCH_ROWS", 2)

    async def story():
        runtime = face.runtime()
        async with await Store.opened(config, runtime, OFF) as store:
            job = forgetting.Forgetting(runtime, parts_of(store).records)
            await register(store, KEYS)
            assert await job.step() == forgetting.EVERY_S
            assert await kept(store) == KEYS
            monkeypatch.setattr(forgetting, "KEPT_S", 0.0)
            await runtime.sleep(0.01)
            left, pauses = [], []
            for _ in range(3):
                pauses.append(await job.step())
                left.append(len(await kept(store)))
            assert left == [3, 1, 0]
            assert pauses == [forgetting.PAUSE_S, forgetting.PAUSE_S, forgetting.EVERY_S]

    face.run(story)
