"""The wall clock jumps by an hour, to and fro: versions, freshness, leases and lifetimes do not notice."""

from __future__ import annotations

import time

import pytest

from tierstore.store import Store
from tierstore.telemetry import OFF

HOUR_S = 3600.0


@pytest.fixture
def jump(monkeypatch):
    """Lets this process's wall clock go wrong by so many seconds. Servers have clocks of their own."""
    wall_s, wall_ns = time.time, time.time_ns

    def to(seconds):
        monkeypatch.setattr(time, "time", lambda: wall_s() + seconds)
        monkeypatch.setattr(time, "time_ns", lambda: wall_ns() + int(seconds * 1e9))

    return to


def test_an_hour_to_and_fro(deployment, face, jump):
    async def until_l1(store, id):
        for _ in range(500):
            if (schema := await store.schemas.get(id)).meta.tier == "l1":
                return schema
            await store.schemas.get(id, read="latest")
        raise AssertionError("L1 was never trusted")

    async def story():
        async with (
            await Store.opened(deployment.config(), face.runtime(), OFF) as store,
            await Store.opened(deployment.config(), face.runtime(), OFF) as other,
        ):
            schema = await store.schemas.register("clock", "1.0.0", b"{}")
            versions, ids = [schema.row_version], [schema.id]
            for turn, seconds in enumerate((HOUR_S, -HOUR_S, 0.0, -HOUR_S, HOUR_S)):
                jump(seconds)
                assert (await until_l1(store, schema.id)).row_version == versions[-1]
                changed = await store.schemas.set_state(schema.id, "deprecated" if turn % 2 == 0 else "active")
                versions.append(changed.row_version)
                assert (await store.schemas.get(schema.id)).row_version == changed.row_version
                found = await other.schemas.get(schema.id, not_before=store.token())
                assert found.row_version == changed.row_version
                ids.append((await store.schemas.register("clock", f"1.{turn + 1}.0", b"{}")).id)
                assert (await store.schemas.get_latest("clock")).id == ids[-1]
            assert versions == sorted(set(versions))
            assert len(set(ids)) == len(ids)

    face.run(story)
