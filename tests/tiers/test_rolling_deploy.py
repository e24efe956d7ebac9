"""A rolling deploy: old and new code, with two revisions of one record, over one Redis. No wrong value, no lost field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tests.model.world import FakeRecords, World
from tierstore.backends.redis.key_value import RedisKeyValue, route
from tierstore.layout import u64
from tierstore.plan.keys import Namespace
from tierstore.records import Record, field
from tierstore.tiers.engine import Engine, Tiers
from tierstore.tiers.kind import Found, Kind, Loaded


class OldNote(Record, kind=902, revision=1):
    key: str
    row_version: u64


class NewNote(Record, kind=902, revision=2, oldest_reader=1, replaces=OldNote):
    """Revision 2 adds a field; code of revision 1 may still read what it writes."""

    key: str
    row_version: u64
    owner: str = field(revision=2, default="")


class StrictNote(Record, kind=902, revision=3, oldest_reader=3, replaces=NewNote):
    """Revision 3 means something else by its fields: older code must not read it."""

    key: str
    row_version: u64
    owner: str = field(revision=2, default="")
    unit: str = field(revision=3, default="")


FIELDS = {OldNote: {}, NewNote: {"owner": "ann"}, StrictNote: {"owner": "ann", "unit": "kg"}}


@dataclass
class Process:
    """One process with its revision of the code, over the shared database and Redis."""

    runtime: Any
    key_value: RedisKeyValue
    engine: Engine
    notes: Any

    async def read(self, key: str) -> Record:
        """By L2 or the database: what L1 holds is forgotten first."""
        self.engine.flush()
        return await self.notes.get(key, deadline=self.runtime.deadline(5))

    async def write(self, key: str) -> None:
        async with self.engine.write(deadline=self.runtime.deadline(5)) as write:
            write.changed(self.notes, key, await write.unit.put(key, present=True))


def process(face, redis_server, world: World, record: type[Record]) -> Process:
    runtime = face.runtime()

    async def load(keys, source):
        rows, as_of, ceiling = await source.fetch("items.get_many", {"keys": keys})
        found = {key: Found(record(key=key, row_version=version, **FIELDS[record]), version) for key, version in rows}
        return Loaded(found, as_of, ceiling)

    records = FakeRecords(world, runtime)
    key_value = RedisKeyValue(runtime, route(runtime, url=redis_server.url), soft_timeout_s=2, hard_timeout_s=2)
    engine = Engine(runtime, Tiers(records, key_value), namespace=Namespace("", "deploy"))
    return Process(runtime, key_value, engine, engine.kind(Kind("note", record, load, store="notes")))


@pytest.mark.requirement("S1-24")
@pytest.mark.parametrize("newer", [NewNote, StrictNote])
def test_two_revisions_over_one_redis(face, redis_server, newer):
    redis_server.flush()

    async def deploy():
        world = World()
        old = process(face, redis_server, world, OldNote)
        new = process(face, redis_server, world, newer)
        for turn in range(6):
            writer, readers = (old, new)[turn % 2], ((old, new), (new, old))[turn // 3]
            await writer.write("note")
            for reader in (readers[0], readers[0], readers[1], readers[1]):
                found = await reader.read("note")
                assert type(found) is (OldNote if reader is old else newer)
                assert found.row_version == turn + 1
                if reader is new:
                    assert {name: getattr(found, name) for name in FIELDS[newer]} == FIELDS[newer]
        for each in (old, new):
            await each.key_value.close(each.runtime.deadline(5))
        return old.notes.counters, new.notes.counters

    old, new = face.run(deploy)
    assert new.l2_hits > 0, "the new code never read L2: the test proves nothing"
    assert new.l2_corrupt > 0, "what the old code filled is a counted miss for the new"
    if newer is NewNote:
        assert old.l2_hits > 0


def test_code_that_is_too_old_leaves_what_newer_code_filled(face, redis_server):
    """Else both would drop and fill it in turn, and neither would ever hit."""
    redis_server.flush()

    async def deploy():
        world = World()
        old = process(face, redis_server, world, OldNote)
        new = process(face, redis_server, world, StrictNote)
        await new.write("note")
        await old.read("note")  # fills for itself: nothing newer is there
        await new.read("note")  # replaces what it cannot read
        hits, fills = new.notes.counters.l2_hits, new.notes.counters.l2_fills
        for turn in range(5):
            assert (await old.read("note")).row_version == 1
            assert (await new.read("note")).unit == "kg"
            assert new.notes.counters.l2_hits == hits + turn + 1
        assert new.notes.counters.l2_fills == fills
        await old.write("note")
        assert (await new.read("note")).row_version == (await old.read("note")).row_version == 2
        for each in (old, new):
            await each.key_value.close(each.runtime.deadline(5))

    face.run(deploy)
