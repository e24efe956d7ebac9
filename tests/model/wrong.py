"""Engines with one rule broken each. The simulation must catch every one of them, or it proves nothing about the right one."""

from __future__ import annotations

from types import MethodType
from typing import Any

from tests.model.story import Process
from tierstore.backends import Fill
from tierstore.tiers.l1 import Entry
from tierstore.tiers.transaction import Transaction

LIFE_S = 3600.0


def no_generation(process: Process) -> None:
    """L1 fills are taken whatever was invalidated since the load began (rule 4)."""
    l1 = process.items.l1
    cache = l1.cache

    class Unfenced:
        get, get_many, clear, stats = cache.get, cache.get_many, cache.clear, cache.stats
        invalidate, invalidate_many = cache.invalidate, cache.invalidate_many

        def __contains__(self, key: Any) -> bool:
            return key in cache

    def keep(key: Any, value: Any, version: int, now: float, weight: int) -> bool:
        cache.put(key, Entry(value, now + LIFE_S, version, now, now + LIFE_S))
        return True

    l1.cache, l1.begin = Unfenced(), lambda key: key
    l1.keep = keep


def no_lease(process: Process) -> None:
    """L2 takes a value from whoever loaded one: a plain put (rule 3)."""
    key_value = process.story.key_value

    async def fill_many(fills: list[Fill], **_: Any) -> list[bool]:
        await process.story.simulation.step("l2 put")
        for fill in fills:
            key_value.fences.seed(fill, "")
            key_value.fences.values[fill.key] = _value(fill)
        return [True for _ in fills]

    key_value.fill_many = fill_many


def _value(fill: Fill) -> Any:
    from tierstore.backends.fences import Value

    return Value(fill.version, fill.revision, fill.value)


def publish_first(process: Process) -> None:
    """The channel publishes before L2 has dropped the old value (rule 2)."""
    delivery = process.engine._delivery
    invalidate_l2, publish = delivery._invalidate_l2, delivery._publish

    async def publish_early(changes: Any, fence: int, deadline: Any) -> None:
        await publish(changes, deadline)
        await invalidate_l2(changes, fence, deadline)

    async def nothing(changes: Any, deadline: Any) -> None:
        return None

    delivery._invalidate_l2, delivery._publish = publish_early, nothing


def before_commit(process: Process) -> None:
    """L1 is invalidated before the commit, and not after it (S1-75)."""
    engine = process.engine
    committing, apply = engine.committing, engine.invalidation.apply

    def early(change_set: Any) -> None:
        committing(change_set)
        apply(change_set.local)

    engine.committing = early
    engine.invalidation.apply = lambda local: None


def no_flush_on_a_gap(process: Process) -> None:
    """A message that was missed is not noticed (rule 5)."""
    process.engine.invalidation.on_gap = lambda reason: None


def joins_old_flights(process: Process) -> None:
    """A reader that comes after an invalidation joins the load that began before it (rule 4)."""
    items = process.items

    def changed(self: Any, key: Any, version: int) -> None:
        self.l1.drop(key)

    items.changed = MethodType(changed, items)
    process.engine.kinds["item"] = items


def always_fresh(process: Process) -> None:
    """Hits count as fresh whatever the carriers say (rule 5)."""
    process.engine.freshness.until = float("inf")
    process.engine.invalidation.l2_freshness.until = float("inf")


def believes_l2(process: Process) -> None:
    """A writer's own process reads L2 before it knows that L2 was invalidated (rule 2)."""
    process.engine.unconfirmed.begin = process.engine.unconfirmed.confirm = lambda changes: None


def echoes_early(process: Process) -> None:
    """The relay answers pings without delivering first (rule 5)."""

    async def nothing(*_: Any) -> bool:
        return True

    process.engine._relay._deliver_all = nothing


def drops_its_duty(process: Process) -> None:
    """A reader that looks again for a key that another process loads is cancelled, and nobody goes on looking (rule 10)."""
    items = process.items

    async def poll(flight: Any, deadline: Any) -> None:
        flight.polls += 1
        await process.runtime.sleep(0.01)
        await items._l2.take([flight], deadline)

    items._poll = poll


def leaders_take_all(process: Process) -> None:
    """A leader that is cancelled takes its batch with it (rule 10)."""
    for stage in (process.items._l2, process.items._database):
        stage._hand_over = lambda batch: None


def does_again(process: Process) -> None:
    """When the caller leaves whose turn it was, the others' writes are done again by the next one, while the first go on."""
    batches = process.together._batches
    run = batches._run

    async def leave_them_queued(flights: Any, deadline: Any) -> None:
        await run(list(flights), deadline)

    batches._run = leave_them_queued


def forgets_what_it_showed(process: Process) -> None:
    """A flush clears the versions that were shown, while L2 may lag behind them (I1)."""
    items, flush = process.items, process.items.flush

    def forget() -> None:
        flush()
        items.floors.clear()

    items.flush = forget


def sets_baselines_back(process: Process) -> None:
    """Of two baselines asked for at once the one that answers last counts, and what the other covered is forgotten (rule 8)."""
    replicas = process.engine._replicas

    async def take(deadline: Any) -> None:
        replicas._asked += 1
        covered = set(replicas._changed)
        replicas._baseline = await process.records.position(deadline)
        replicas._changed = {change: 0 for change in replicas._changed if change not in covered}

    replicas._take = take


def confirms_by_key(process: Process) -> None:
    """A write is confirmed by another one of the same key that overlaps with it (rule 2)."""
    held = process.engine.unconfirmed.writing._held
    process.engine.unconfirmed.confirm = lambda changes: [held.pop(change.key, None) for change in changes]


def lets_l1_contradict(process: Process) -> None:
    """What a write answers that changes nothing does not count as shown (I2)."""

    class Deaf(Transaction):
        def seen(self, kind: Any, key: Any, version: int) -> None:
            return None

    engine = process.engine
    engine.write = lambda *, deadline, **more: Deaf(engine, deadline, **more)


def counts_what_an_old_server_took(process: Process) -> None:
    """A delivery is marked, and a ping echoed, although the server of L2 that was told had been replaced (rule 2)."""
    road: Any = process.road

    async def still_reigns(reign: int, *, deadline: Any) -> bool:
        return reign == road.reign

    road.still_reigns = still_reigns


def believes_a_new_server(process: Process) -> None:
    """What a server of L2 holds that took over is believed before an echo says that it knows all (rule 5)."""
    road: Any = process.road
    road.watch_reigns(lambda: None)


def names_what_it_wrote_for_the_old_database(process: Process) -> None:
    """A write goes by the names of the database that was there when the process last looked (rule 7)."""
    process.engine.append = process.engine._delivery.append


def believes_l2_by_new_names(process: Process) -> None:
    """What L2 holds by the names of another database is believed for what was heard by the old ones (rule 7)."""
    invalidation = process.engine.invalidation
    invalidation.on_new_reign = lambda: None
    moved = invalidation.is_moved_by

    def is_moved_by(identity: str) -> bool:
        until = invalidation.l2_freshness.until
        try:
            return moved(identity)
        finally:
            invalidation.l2_freshness.until = until

    invalidation.is_moved_by = is_moved_by


WRONG = {
    function.__name__: function
    for function in (
        no_generation, no_lease, publish_first, before_commit, no_flush_on_a_gap, joins_old_flights, always_fresh, believes_l2,
        echoes_early, drops_its_duty, leaders_take_all, does_again, forgets_what_it_showed, sets_baselines_back, confirms_by_key,
        lets_l1_contradict, counts_what_an_old_server_took, believes_a_new_server,
        names_what_it_wrote_for_the_old_database, believes_l2_by_new_names,
    )
}  # fmt: skip
