"""What this process has shown holds, whatever L1 forgets and whatever lags below it (I1, I2)."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.tiers.conftest import Bench
from tierstore.backends import Change
from tierstore.errors import ConnectionError
from tierstore.plan.route import later_of
from tierstore.tiers import floors, session
from tierstore.tiers.delivery import Unconfirmed
from tierstore.tiers.floors import Floors
from tierstore.tiers.freshness import HORIZON_S
from tierstore.tiers.replicas import Replicas


@pytest.fixture
def shared(face) -> Bench:
    return Bench(face.runtime(), l2=True)


async def _behind(bench: Bench) -> None:
    """L2 has version 1 of the key, the database 2: the writer's delivery failed. Somebody has read 2."""
    await bench.put("a")
    assert await bench.get("a") == 1
    other = bench.second()
    other.key_value.broken = ConnectionError("L2 is gone")
    await other.put("a")
    other.key_value.broken = None
    assert await bench.get("a", read="latest") == 2


def test_a_flush_does_not_bring_back_an_older_version(face, shared):
    async def story():
        await _behind(shared)
        shared.engine.flush()
        assert await shared.get("a") == 2

    face.run(story)


def test_an_eviction_does_not_bring_back_an_older_version(face, shared):
    async def story():
        await _behind(shared)
        await shared.get("a")
        shared.items.l1.clear()
        assert await shared.get("a") == 2

    face.run(story)


def test_more_than_is_remembered_asks_the_database_for_all(face, shared, monkeypatch):
    async def story():
        monkeypatch.setattr(floors, "MOST_FLOORS", 0)
        await _behind(shared)
        shared.engine.flush()
        assert await shared.get("a") == 2
        assert shared.items.floors.blind
        assert not shared.items.floors.new
        assert not shared.items.floors.old
        shared.engine.invalidation.on_l2_echo(shared.runtime.monotonic())
        assert not shared.items.floors.blind

    face.run(story)


def test_what_is_shown_is_forgotten_when_an_echo_proves_that_l2_knows_it():
    now = 0.0
    known = Floors(lambda: now)
    known.note("a", 5)
    known.settle(1.0)
    now = 2.0
    assert known.of("a") == 5, "it was shown in the generation that began before"
    known.settle(-1.0)
    assert known.of("a") == 5, "an echo of an earlier ping proves nothing"
    known.settle(2.0)
    known.settle(3.0)
    assert known.of("a") == 0


def test_a_read_in_a_transaction_counts_as_shown(face, bench):
    async def story():
        await bench.put("a")
        assert await bench.get("a") == 1
        await bench.second().put("a")
        async with bench.engine.transaction(deadline=bench.deadline()) as tx:
            (item,) = await bench.items.get_in(tx, ["a"], deadline=tx.deadline)
            assert item.row_version == 2
            assert await bench.get("a") == 2

    face.run(story)


def test_writes_that_overlap_are_confirmed_one_by_one():
    unconfirmed, changes = Unconfirmed(), [Change("k", 1)]
    unconfirmed.begin(changes)
    unconfirmed.begin(changes)
    unconfirmed.confirm(changes)
    unconfirmed.echo(float("inf"))
    assert "k" in unconfirmed
    unconfirmed.confirm(changes)
    assert not unconfirmed
    assert len(unconfirmed) == 0


def test_the_later_of_two_positions():
    assert later_of("0/FF", "0/100") == "0/100"
    assert later_of("1/0", "0/FFFFFFFF") == "1/0"
    assert later_of("9", "10") == "10"
    assert later_of(None, "10") == later_of("10", None) == "10"


def test_of_writes_that_overlap_a_session_remembers_the_later_one():
    mine = session.Session()
    mine.wrote("0/20")
    mine.wrote("0/10")
    assert mine.position == "0/20"


def test_what_a_list_showed_holds_whatever_l2_has(face, shared):
    """L2 has version 1 of the key, a list has shown 2."""

    async def story():
        await shared.put("a")
        assert await shared.get("a") == 1
        other = shared.second()
        other.key_value.broken = ConnectionError("L2 is gone")
        await other.put("a")
        other.key_value.broken = None
        assert shared.items.saw({"a": 2, "b": 1})
        assert await shared.get("a") == 2
        shared.engine.flush()
        assert await shared.get("a") == 2
        assert not shared.items.saw({"a": 1})

    face.run(story)


def test_what_lists_show_is_bounded(face, shared, monkeypatch):
    async def story():
        monkeypatch.setattr(floors, "MOST_FLOORS", 100)
        for number in range(50):
            shared.items.saw({f"{number}.{row}": 1 for row in range(10)})
            assert len(shared.items.floors.new) + len(shared.items.floors.old) <= 100
        assert shared.items.floors.blind

    face.run(story)


def test_a_list_that_shows_nothing_new_costs_no_entry(face, bench):
    async def story():
        await bench.put("a")
        await bench.get("a")
        entry = bench.items.l1.look("a")
        assert bench.items.saw({"a": 1})
        assert bench.items.l1.look("a") is entry

    face.run(story)


def test_a_baseline_bounds_how_far_a_replica_is_behind(face):
    """I4: one that is older than the horizon lets no replica answer, unless the changes since are known; and lists know none."""

    async def story():
        now, asked = [0.0], []

        class Records:
            async def position(self, deadline):
                asked.append(now[0])
                return f"{len(asked)}"

        runtime = face.runtime()
        clock = SimpleNamespace(monotonic=lambda: now[0])
        replicas = Replicas(clock, Records(), lambda moment: None, on=True)
        deadline = runtime.deadline(5.0)
        assert await replicas.where("item", ["a"], deadline, is_fresh=True) == (False, "1")
        now[0] = HORIZON_S
        assert await replicas.where("item", ["a"], deadline, is_fresh=True) == (False, "1")
        assert await replicas.where("item", ["a"], deadline, is_fresh=False) == (False, "2")
        assert await replicas.recent(deadline) == "2"
        replicas.changed("item", "a")
        replicas.reset()
        assert await replicas.recent(deadline) == "3"

    face.run(story)
