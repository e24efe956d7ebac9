"""The sweep and `verify`, on both engines and faces, by the store that callers see."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import tierstore
from tests.contract.schema_stores import BACKENDS, FACES, Opened, backend_config, opened
from tierstore import ConflictError, CorruptError, ValidationError
from tierstore.store import parts_of
from tierstore.tiers.blobs import Staged

GRACE_S = 0.3
LOOP_S = 6.0
ROW, OBJECT = 100_000, 2_000_000


@pytest.fixture(params=[(backend, face) for backend in BACKENDS for face in FACES], ids="-".join)
def shared(request: pytest.FixtureRequest, tmp_path: Path, s3_server, bucket: str) -> Iterator[Opened]:
    backend, face = request.param
    config = backend_config(request, backend, tmp_path / "store")
    if backend != "sqlite":
        config = tierstore.Config(postgres=config.postgres, objects=s3_server.config(bucket))
    with opened(backend, face, config) as store:
        yield store


def content_of(number: int, size: int) -> bytes:
    return b'"' + f"{number:08}".encode() * (size // 8) + b'"'


async def registered(shared: Opened, count: int, size: int) -> list[tierstore.Schema]:
    call = shared.store.schemas.register
    return [await call("sweep", f"{number}.0.{size}", content_of(number, size)) for number in range(count)]


async def purge(shared: Opened, schema: tierstore.Schema) -> None:
    await shared.store.schemas.delete(schema.id)
    await shared.store.schemas.purge(schema.id)


async def objects(shared: Opened) -> set[str]:
    parts = parts_of(shared.store)
    listed = parts._backends.blobs.list(deadline=parts.runtime.deadline(10))
    return {info.digest async for info in listed}


async def settled(shared: Opened) -> None:
    """No upload is under way."""
    await parts_of(shared.store).blobs.settle()


async def later(shared: Opened) -> None:
    await parts_of(shared.store).runtime.sleep(GRACE_S + 0.1)


@pytest.mark.parametrize("size", [ROW, OBJECT])
def test_purged_content_goes_in_two_phases_and_nothing_else(shared: Opened, size: int):
    async def scenario() -> None:
        blobs = shared.store.blobs
        made = await registered(shared, 4, size)
        await purge(shared, made[0])
        await shared.store.schemas.delete(made[1].id)
        await settled(shared)
        dry = await blobs.sweep()
        assert (dry.dry_run, dry.contents, dry.unused, dry.unused_bytes, dry.marked) == (True, 4, 1, size + 2, 0)
        first = await blobs.sweep(dry_run=False, grace=GRACE_S)
        assert (first.marked, first.removed) == (1, 0)
        early = await blobs.sweep(dry_run=False, grace=3600)
        assert (early.marked, early.removed) == (0, 0)
        await later(shared)
        second = await blobs.sweep(dry_run=False, grace=GRACE_S)
        assert (second.marked, second.removed, second.removed_bytes) == (0, 1, size + 2)
        last = await blobs.sweep()
        assert (last.contents, last.unused) == (3, 0)
        assert await objects(shared) == ({each.content_digest for each in made[1:]} if size == OBJECT else set())
        await shared.store.schemas.restore(made[1].id)
        fresh = parts_of(shared.store).blobs
        fresh._cache.clear()
        for number, each in enumerate(made[1:], 1):
            assert (await shared.store.schemas.get(each.id)).content == content_of(number, size)
        assert (await blobs.verify()) == tierstore.VerifyReport(3, 0, (), (), None)

    shared.face.run(scenario)


@pytest.mark.parametrize("size", [ROW, OBJECT])
def test_what_is_registered_again_is_not_doomed_any_more(shared: Opened, size: int):
    async def scenario() -> None:
        blobs = shared.store.blobs
        made = await registered(shared, 3, size)
        await purge(shared, made[0])
        await settled(shared)
        assert (await blobs.sweep(dry_run=False, grace=GRACE_S)).marked == 1
        again = await shared.store.schemas.register("again", "1.0.0", content_of(0, size))
        await settled(shared)
        await later(shared)
        assert (await blobs.sweep(dry_run=False, grace=GRACE_S)).removed == 0
        parts_of(shared.store).blobs._cache.clear()
        assert (await shared.store.schemas.get(again.id)).content == content_of(0, size)

    shared.face.run(scenario)


def test_too_large_a_share_is_refused_by_the_name_of_its_setting(shared: Opened):
    async def scenario() -> None:
        blobs = shared.store.blobs
        for each in await registered(shared, 4, ROW):
            if not each.version.startswith("3."):
                await purge(shared, each)
        with pytest.raises(ConflictError, match=r"3 of 4 .*max_share") as caught:
            await blobs.sweep(dry_run=False, grace=GRACE_S)
        assert (caught.value.store, caught.value.operation) == ("blobs", "sweep")
        assert (await blobs.sweep()).unused == 3
        assert (await blobs.sweep(dry_run=False, grace=GRACE_S, max_share=0.75)).marked == 3

    shared.face.run(scenario)


def test_what_crashes_left_in_the_object_store_goes(shared: Opened):
    """One that was put and never referred to, with its pending row; and one that nobody knows."""

    async def scenario() -> None:
        blobs, parts = shared.store.blobs, parts_of(shared.store)
        kept = await registered(shared, 4, OBJECT)
        await settled(shared)
        staged: Staged = await parts.blobs.stage(content_of(90, OBJECT), deadline=parts.runtime.deadline(20))
        assert staged.upload_id is not None
        unknown = content_of(91, OBJECT)
        digest = tierstore._native.digest(unknown)
        await parts._backends.blobs.put(digest, unknown, deadline=parts.runtime.deadline(20))
        found = await blobs.sweep()
        assert (found.contents, found.unused, found.orphans) == (6, 1, 1), "the upload may be under way"
        await later(shared)
        first = await blobs.sweep(dry_run=False, grace=GRACE_S)
        assert (first.orphans, first.marked, first.uploads) == (2, 2, 1)
        await later(shared)
        assert (await blobs.sweep(dry_run=False, grace=GRACE_S)).removed == 2
        assert await objects(shared) == {each.content_digest for each in kept}

    shared.face.run(scenario)


def test_a_sweep_that_was_used_again_meanwhile_spares_it(shared: Opened):
    """Marked although it is used: as when a registration committed between the question and the mark."""

    async def scenario() -> None:
        blobs, parts = shared.store.blobs, parts_of(shared.store)
        made = await registered(shared, 1, OBJECT)
        await settled(shared)
        assert await parts.sweeper().mark([made[0].content_digest], parts.runtime.deadline(5)) == 1
        await later(shared)
        report = await blobs.sweep(dry_run=False, grace=GRACE_S)
        assert (report.removed, report.spared) == (0, 1)
        assert await objects(shared) == {made[0].content_digest}

    shared.face.run(scenario)


def test_an_upload_does_not_trust_an_object_that_is_doomed(shared: Opened):
    """The sweep may have looked for uploads just before this one showed itself, and is about to remove the object."""

    async def scenario() -> None:
        parts = parts_of(shared.store)
        made = await registered(shared, 1, OBJECT)
        await settled(shared)
        deadline = parts.runtime.deadline(20)
        await parts.sweeper().mark([made[0].content_digest], deadline)
        staged = await parts.blobs.stage(content_of(0, OBJECT), deadline=deadline)
        assert staged.placement.tier == "row"
        await parts._backends.blobs.delete(made[0].content_digest, deadline=deadline)
        async with parts.records.unit(deadline=deadline) as unit:
            await parts.blobs.make_live(unit, staged)
        parts.blobs._cache.clear()
        assert (await shared.store.schemas.get(made[0].id)).content == content_of(0, OBJECT)

    shared.face.run(scenario)


def test_an_upload_under_way_keeps_what_was_doomed(shared: Opened):
    """It showed itself before the sweep looked."""

    async def scenario() -> None:
        blobs, parts = shared.store.blobs, parts_of(shared.store)
        made = await registered(shared, 1, OBJECT)
        await purge(shared, made[0])
        await settled(shared)
        deadline = parts.runtime.deadline(20)
        await parts.sweeper().mark([made[0].content_digest], deadline)
        await later(shared)
        staged = await parts.blobs.stage(content_of(0, OBJECT), deadline=deadline)
        assert (await blobs.sweep(dry_run=False, grace=GRACE_S, max_share=1)).removed == 0
        assert await objects(shared) == {made[0].content_digest}
        async with parts.records.unit(deadline=deadline) as unit:
            await parts.blobs.make_live(unit, staged)

    shared.face.run(scenario)


def test_verify_heals_what_it_can_and_names_the_rest(shared: Opened):
    async def scenario() -> None:
        parts = parts_of(shared.store)
        made = await registered(shared, 2, OBJECT)
        await settled(shared)
        driver = parts._backends.blobs
        await driver.delete(made[0].content_digest, deadline=parts.runtime.deadline(10))
        seen: list[tuple[int, int]] = []
        report = await shared.store.blobs.verify(progress=lambda done, total: seen.append((done, total)))
        assert (report.checked, report.missing, report.damaged) == (2, (made[0].content_digest,), ())
        assert seen[-1] == (2, 2)
        await shared.store.schemas.register("again", "1.0.0", content_of(0, OBJECT))
        assert (await shared.store.blobs.verify()).missing == ()

    shared.face.run(scenario)


@pytest.mark.parametrize(
    "wrong",
    [
        {"dry_run": "no"},
        {"grace": -1},
        {"grace": "1d"},
        {"max_share": 2},
        {"max_share": True},
        {"timeout": 0},
        {"progress": 5},
    ],
    ids=str,
)
def test_wrong_arguments_are_refused(shared: Opened, wrong: dict):
    async def scenario() -> None:
        with pytest.raises(ValidationError) as caught:
            await shared.store.blobs.sweep(**wrong)
        assert caught.value.place in wrong

    shared.face.run(scenario)


def test_live_content_is_never_swept_while_others_register_it(tmp_path: Path):
    """Few contents, registered and purged again and again by several threads, while two sweep without pause.

    The grace is longer than a write takes, as it must be.
    """
    config = tierstore.Config(tmp_path / "store", cache=tierstore.CacheConfig(max_entries=1, max_bytes=1))
    stop, failures, removed = threading.Event(), [], []
    until = time.monotonic() + LOOP_S
    with tierstore.blocking.open(config) as store:

        def write(seed: int) -> None:
            chance = random.Random(seed)
            for turn in itertools.count():
                if time.monotonic() > until:
                    return
                content = content_of(chance.randrange(40), chance.choice((70_000, 1_100_000)))
                try:
                    made = store.schemas.register(f"s{seed}", f"{turn}.0.0", content, timeout=30)
                    parts_of(store._inner).blobs._cache.clear()
                    if store.schemas.get(made.id, read="latest").content != content:
                        failures.append("other content")
                    store.schemas.delete(made.id)
                    store.schemas.purge(made.id)
                except (CorruptError, tierstore.NotFoundError) as error:
                    failures.append(str(error))

        def sweep() -> None:
            while not stop.is_set():
                removed.append(store.blobs.sweep(dry_run=False, grace=1, max_share=1).removed)

        writers = [threading.Thread(target=write, args=(seed,)) for seed in range(3)]
        sweepers = [threading.Thread(target=sweep) for _ in range(2)]
        for thread in writers + sweepers:
            thread.start()
        for thread in writers:
            thread.join()
        stop.set()
        for thread in sweepers:
            thread.join()
    assert failures == []
    assert sum(removed) > 0


def test_a_forked_child_sweeps_too(tmp_path: Path):
    with tierstore.blocking.open(tmp_path / "store") as store:
        store.schemas.register("a", "1.0.0", content_of(0, ROW))
        child = os.fork()
        if child == 0:
            try:
                os._exit(store.blobs.sweep().contents)
            finally:
                os._exit(9)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1


def test_another_event_loop_is_refused(tmp_path: Path):
    with asyncio.Runner() as runner:
        store = runner.run(_open(tmp_path / "store"))
        with pytest.raises(tierstore.ClosedError, match="loop"):
            asyncio.run(store.blobs.verify())
        runner.run(store.close())


async def _open(folder: Path) -> tierstore.Store:
    return await tierstore.open(folder)
