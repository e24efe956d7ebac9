"""The blob tier on both engines and faces: two places, checked bytes, nothing left to chance by a crash."""

from __future__ import annotations

from pathlib import Path

import pytest

from tierstore import _native
from tierstore.backends.folder.blobs import Folder
from tierstore.errors import ConnectionError, CorruptError, NotFoundError, UnsupportedError
from tierstore.tiers.blobs import CHUNK_BYTES, BlobPlacement, BlobTier

ROUTER = _native.SizeRouter(inline_max=10, object_min=1000)
ROW, OBJECT = b"r" * 999, b"o" * 1000


class Broken:
    """Objects that fail as `error` says, and may hold wrong bytes."""

    def __init__(self, inner, error=None) -> None:
        self.inner = inner
        self.error = error
        self.wrong: bytes | None = None
        self.forgets = False

    async def put(self, digest, content, *, deadline):
        self._fail()
        if not self.forgets:
            await self.inner.put(digest, content, deadline=deadline)

    async def get(self, digest, *, deadline):
        self._fail()
        return self.wrong if self.wrong is not None else await self.inner.get(digest, deadline=deadline)

    async def exists(self, digest, *, deadline):
        self._fail()
        return await self.inner.exists(digest, deadline=deadline)

    async def presign(self, digest, **more):
        return f"https://objects/{digest}"

    def _fail(self):
        if self.error is not None:
            raise self.error


class Blobbed:
    def __init__(self, engine, tmp_path) -> None:
        self.engine = engine
        self.records = engine.migrated()
        folder = Folder(engine.runtime, tmp_path / "blobs")
        engine.face.run(folder.open, self.deadline())
        self.objects = Broken(folder)
        self.tier = self.fresh()

    def deadline(self):
        return self.engine.runtime.deadline(10)

    def fresh(self, objects=True) -> BlobTier:
        """Nothing in its cache."""
        return BlobTier(self.engine.runtime, self.records, self.objects if objects else None, ROUTER)

    async def store(self, content):
        staged = await self.tier.stage(content, deadline=self.deadline())
        async with self.records.unit(deadline=self.deadline()) as unit:
            await self.tier.make_live(unit, staged)
        return staged.placement

    async def read(self, placed, tier=None):
        return await (tier or self.fresh()).read(placed.digest, placed.tier, placed.size, deadline=self.deadline())

    async def uploads(self):
        async with self.records.aside(deadline=self.deadline()) as unit:
            return len(await unit.fetch("suite.uploads"))


@pytest.fixture
def blobbed(engine, tmp_path) -> Blobbed:
    return Blobbed(engine, tmp_path)


@pytest.mark.requirement("S1-30")
@pytest.mark.parametrize(("content", "tier"), [(ROW, "row"), (OBJECT, "object")])
def test_content_goes_where_its_size_says_and_comes_back(engine, blobbed, content, tier):
    async def story():
        placed = await blobbed.store(content)
        assert placed == (tier, len(content), _native.digest(content))
        assert await blobbed.read(placed) == content
        assert (await blobbed.store(content)).digest == placed.digest, "the same content again"
        assert await blobbed.read(placed) == content

    engine.face.run(story)


def test_chunks_of_a_large_row_are_put_together_in_order(engine, blobbed):
    async def story():
        blobbed.tier = BlobTier(engine.runtime, blobbed.records, None, ROUTER)
        content = bytes(range(256)) * (3 * CHUNK_BYTES // 256) + b"end"
        placed = await blobbed.store(content)
        assert placed.tier == "row"
        rows = await blobbed.records.fetch("suite.chunks", {"digest": placed.digest}, deadline=blobbed.deadline())
        assert [len(row[1]) for row in rows] == [CHUNK_BYTES] * 3 + [3]
        assert await blobbed.read(placed) == content

    engine.face.run(story)


@pytest.mark.parametrize("forgets", [False, True], ids=["down", "404 after put"])
def test_objects_that_do_not_take_it_make_it_rows(engine, blobbed, forgets):
    async def story():
        if forgets:
            blobbed.objects.forgets = True
        else:
            blobbed.objects.error = ConnectionError("the object store is down")
        placed = await blobbed.store(OBJECT)
        assert placed.tier == "row"
        assert await blobbed.read(placed) == OBJECT
        assert blobbed.tier.rows_instead_of_objects == 1

    engine.face.run(story)


def test_a_read_looks_in_the_other_place(engine, blobbed):
    async def story():
        placed = await blobbed.store(OBJECT)
        blobbed.objects.error = ConnectionError("the object store is down")
        await blobbed.store(OBJECT)  # now in rows too
        assert await blobbed.read(placed) == OBJECT
        in_row = placed._replace(tier="row")
        blobbed.objects.error = None
        assert await blobbed.read(in_row) == OBJECT

    engine.face.run(story)


def test_wrong_bytes_are_never_returned(engine, blobbed):
    async def story():
        placed = await blobbed.store(OBJECT)
        blobbed.objects.wrong = OBJECT[:-1] + b"x"
        with pytest.raises(CorruptError):
            await blobbed.read(placed)
        blobbed.objects.error = ConnectionError("the object store is down")
        await blobbed.store(OBJECT)
        blobbed.objects.error = None
        assert await blobbed.read(placed) == OBJECT, "the other place has the right ones"

    engine.face.run(story)


def test_what_is_nowhere_is_an_error(engine, blobbed):
    async def story():
        with pytest.raises(NotFoundError):
            await blobbed.tier.read("0" * 64, "object", 1, deadline=blobbed.deadline())
        with pytest.raises(NotFoundError):
            await blobbed.fresh(objects=False).read("0" * 64, "object", 1, deadline=blobbed.deadline())

    engine.face.run(story)


def test_content_is_kept_under_its_digest(engine, blobbed):
    async def story():
        placed = await blobbed.store(OBJECT)
        assert await blobbed.read(placed, blobbed.tier) == OBJECT
        blobbed.objects.error = ConnectionError("the object store is down")
        assert await blobbed.read(placed, blobbed.tier) == OBJECT

    engine.face.run(story)


def test_pending_rows_end_when_their_content_lives(engine, blobbed):
    async def story():
        await blobbed.store(OBJECT)
        await blobbed.tier.stage(OBJECT + b"2", deadline=blobbed.deadline())
        assert await blobbed.uploads() == 2
        await blobbed.tier.settle()
        assert await blobbed.uploads() == 1, "the one that nobody refers to waits for the sweep"

    engine.face.run(story)


def test_a_rolled_back_transaction_leaves_no_live_blob(engine, blobbed):
    async def story():
        staged = await blobbed.tier.stage(ROW, deadline=blobbed.deadline())
        with pytest.raises(ZeroDivisionError):
            async with blobbed.records.unit(deadline=blobbed.deadline()) as unit:
                await blobbed.tier.make_live(unit, staged)
                raise ZeroDivisionError
        params = {"digests": [staged.placement.digest]}
        assert not await blobbed.records.fetch("blobs.live", params, deadline=blobbed.deadline())

    engine.face.run(story)


@pytest.mark.requirement("S1-32")
def test_presigning_copies_content_to_the_object_store_first(engine, blobbed):
    async def story():
        placed = await blobbed.store(ROW)
        url = await blobbed.tier.presign(placed.digest, ROW, expires_s=60, deadline=blobbed.deadline())
        assert url.endswith(placed.digest)
        assert await blobbed.objects.exists(placed.digest, deadline=blobbed.deadline())
        assert await blobbed.read(placed) == ROW
        with pytest.raises(UnsupportedError):
            await blobbed.fresh(objects=False).presign(placed.digest, ROW, expires_s=60, deadline=blobbed.deadline())

    engine.face.run(story)


def spoil(file: Path) -> None:
    file.write_bytes(b"X" + file.read_bytes()[1:])


async def damage(blobbed, placed, place: str) -> None:
    """One byte of a copy turns."""
    if place == "object":
        spoil(Path(blobbed.objects.inner.locate(placed.digest)))
        return
    async with blobbed.records.unit(deadline=blobbed.deadline()) as unit:
        damaged = {"digest": placed.digest, "bytes": b"X" * placed.size}
        assert await unit.execute("suite.damage_chunk", damaged) == 1


@pytest.mark.parametrize("place", ["row", "object"])
def test_the_same_content_again_heals_what_is_damaged(engine, blobbed, place):
    async def story():
        content = ROW if place == "row" else OBJECT
        placed = await blobbed.store(content)
        await damage(blobbed, placed, place)
        with pytest.raises(CorruptError):
            await blobbed.read(placed)
        await blobbed.store(content)
        assert await blobbed.read(placed) == content

    engine.face.run(story)


@pytest.mark.parametrize("place", ["row", "object"])
def test_a_damaged_copy_is_replaced_from_the_other_place_and_logged(engine, blobbed, place, caplog):
    async def story():
        placed = await blobbed.store(OBJECT)
        in_rows = blobbed.fresh(objects=False)
        staged = await in_rows.stage(OBJECT, deadline=blobbed.deadline())
        async with blobbed.records.unit(deadline=blobbed.deadline()) as unit:
            await in_rows.make_live(unit, staged)
        await damage(blobbed, placed, place)
        tier = blobbed.fresh()
        asked = BlobPlacement(place, placed.size, placed.digest)
        assert await blobbed.read(asked, tier) == OBJECT, "the other place has it"
        assert placed.digest in tier.damage.warnings()[0]
        await tier.settle()
        assert (tier.damage.found, tier.damage.healed, tier.damage.warnings()) == (1, 1, ())
        again = blobbed.fresh()
        assert await blobbed.read(asked, again) == OBJECT
        assert again.damage.found == 0
        assert [placed.digest in line for line in caplog.messages] == [True, True]

    engine.face.run(story)


def test_damage_without_a_good_copy_stays_in_the_warnings(engine, blobbed):
    async def story():
        placed = await blobbed.store(OBJECT)
        await damage(blobbed, placed, "object")
        tier = blobbed.fresh()
        with pytest.raises(CorruptError):
            await blobbed.read(placed, tier)
        await tier.settle()
        assert placed.digest in tier.damage.warnings()[0]
        assert await tier.heal(placed.digest, deadline=blobbed.deadline()) == "damaged"
        assert await tier.heal("0" * 64, deadline=blobbed.deadline()) == "missing"
        staged = await tier.stage(OBJECT, deadline=blobbed.deadline())
        assert staged.placement == placed
        assert tier.damage.warnings() == ()
        assert await tier.heal(placed.digest, deadline=blobbed.deadline()) == "whole"

    engine.face.run(story)
