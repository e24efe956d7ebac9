"""The `KeyValue` contract, on every backend and in both faces."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tierstore.backends import Change, Fill, KeyValue, Lease, Seen
from tierstore.backends.memory.key_value import MemoryKeyValue
from tierstore.backends.redis.commands import Script
from tierstore.backends.redis.key_value import RedisKeyValue, route
from tierstore.plan.keys import l2_key, lease_key, namespace

BACKENDS = ("memory", "redis", "cluster")
TOKEN, OTHER, THIRD = (b"token-000000000%d" % number for number in (1, 2, 3))
LEASE_MS, TTL_MS = 60_000, 60_000
PATIENT_S = 5.0


class Tier:
    """The driver under test, with deadlines and keys filled in."""

    def __init__(self, face: Any, key_value: KeyValue, runtime: Any) -> None:
        self.face = face
        self.runtime = runtime
        self.key_value = key_value
        self._namespace = namespace("test-", os.urandom(8).hex())

    def key(self, name: object) -> str:
        return l2_key(self._namespace, "schema", str(name))

    def run(self, method: str, *arguments: Any, **named: Any) -> Any:
        async def call() -> Any:
            return await getattr(self.key_value, method)(*arguments, **named, deadline=self.runtime.deadline(PATIENT_S))

        return self.face.run(call)

    def get(self, *names: object) -> list[bytes | None]:
        return self.run("get_many", [self.key(name) for name in names])

    def lease(self, *names: object, token: bytes = TOKEN, lease_ms: int = LEASE_MS, **more: Any) -> list[Lease]:
        return self.run("lease_many", [self.key(name) for name in names], token=token, lease_ms=lease_ms, **more)

    def look(self, name: object, seen: Seen | None = None, *, token: bytes = OTHER) -> Lease:
        """What one gets who does not trust what was there before."""
        return self.lease(name, token=token, trusted=False, seen=[seen])[0]

    def fill(self, name: object, value: bytes, *, seeding: bool, **other: Any) -> bool:
        fields = {"token": TOKEN, "version": 5, "revision": 1, "as_of": 100, "ceiling": 100, "ttl_ms": TTL_MS} | other
        return self.run("fill_many", [Fill(key=self.key(name), value=value, seeding=seeding, **fields)])[0]

    def load(self, name: object, value: bytes, **other: Any) -> bool:
        """A whole miss: lease and fill."""
        (lease,) = self.lease(name, token=other.get("token", TOKEN))
        assert lease.held
        return self.fill(name, value, seeding=lease.seeding, **other)

    def invalidate(self, *names: object, floor: int) -> None:
        self.run("invalidate", [Change(self.key(name), 1) for name in names], floor=floor)


@pytest.fixture(params=BACKENDS)
def tier(request, face) -> Iterator[Tier]:
    runtime = face.runtime()
    patient = {"soft_timeout_s": PATIENT_S, "hard_timeout_s": PATIENT_S}
    if request.param == "memory":
        key_value: KeyValue = MemoryKeyValue(runtime)
    elif request.param == "redis":
        url = request.getfixturevalue("redis_server").url
        key_value = RedisKeyValue(runtime, route(runtime, url=url), **patient)
    else:
        urls = request.getfixturevalue("redis_cluster").urls
        key_value = RedisKeyValue(runtime, route(runtime, cluster=urls), **patient)

    async def end(method: str) -> None:
        await getattr(key_value, method)(runtime.deadline(PATIENT_S))

    face.run(end, "open")
    yield Tier(face, key_value, runtime)
    face.run(end, "close")


def test_nothing_is_found_at_first(tier):
    assert tier.get("a", "b") == [None, None]
    assert tier.run("get_many", []) == []


def test_first_miss_seeds_the_floor_and_its_fill_is_found(tier):
    assert tier.lease("a") == [Lease(None, held=True, seeding=True)]
    assert tier.fill("a", b"one", seeding=True)
    assert tier.get("a", "b") == [b"one", None]
    assert tier.lease("a", token=OTHER) == [Lease(b"one", held=False, seeding=False)]


@pytest.mark.parametrize("value", [b"", b"\0" * 40, bytes(range(256)) * 400], ids=["empty", "zeros", "100 KB"])
def test_values_come_back_byte_for_byte(tier, value):
    assert tier.load("a", value)
    assert tier.get("a") == [value]


@pytest.mark.requirement("S1-21")
def test_batches_of_many_slots(tier):
    names = range(500)
    leases = tier.lease(*names)
    assert all(lease.held for lease in leases)
    fills = [
        Fill(tier.key(name), TOKEN, b"%d" % name, 1, 1, 100, 100, lease.seeding, TTL_MS)
        for name, lease in zip(names, leases, strict=True)
    ]
    assert tier.run("fill_many", fills) == [True] * len(fills)
    assert tier.get(*names, "absent") == [*(b"%d" % name for name in names), None]
    tier.invalidate(*names, floor=101)
    assert tier.get(*names) == [None] * len(names)


def test_only_one_holds_a_lease(tier):
    tier.lease("a")
    (lease,) = tier.lease("a", token=OTHER)
    assert (lease.value, lease.held) == (None, False)
    assert lease.seen.lease.endswith(TOKEN)


def test_who_does_not_trust_what_was_there_gets_a_lease(tier):
    tier.load("a", b"one")
    assert tier.look("a") == Lease(None, held=True, seeding=False)


def test_who_waits_gets_what_a_load_brings_that_began_later(tier):
    tier.lease("a")
    first = tier.look("a", token=THIRD)
    assert tier.look("a", first.seen, token=THIRD) == first
    assert tier.fill("a", b"too early", seeding=True, hand_over_ms=TTL_MS)
    assert tier.look("a").held
    assert tier.look("a", first.seen, token=THIRD).value is None, "it may be older than the first look"
    assert tier.fill("a", b"in time", seeding=False, token=OTHER, hand_over_ms=TTL_MS)
    assert tier.look("a", first.seen, token=THIRD) == Lease(b"in time", held=False, seeding=False, handed_over=True)
    late = tier.look("a", token=THIRD)
    assert late.held, "what is there already is for those who waited"


def test_what_the_floor_refuses_is_handed_over_all_the_same(tier):
    tier.load("a", b"one")
    tier.invalidate("a", floor=200)
    tier.lease("a")
    seen = tier.look("a", token=THIRD).seen
    tier.run("release_many", [tier.key("a")], token=TOKEN)
    assert tier.look("a").held
    assert not tier.fill("a", b"two", seeding=False, token=OTHER, as_of=200, hand_over_ms=TTL_MS)
    assert tier.look("a", seen, token=THIRD).value == b"two"
    assert tier.get("a") == [None]


def test_who_lost_its_lease_hands_nothing_over(tier):
    tier.lease("a")
    seen = tier.look("a", token=THIRD).seen
    tier.run("release_many", [tier.key("a")], token=TOKEN)
    tier.look("a")
    tier.invalidate("a", floor=200)
    tier.fill("a", b"late", seeding=False, token=OTHER, hand_over_ms=TTL_MS)
    assert tier.look("a", seen, token=THIRD).held


def test_a_hand_over_runs_out(tier):
    tier.lease("a")
    seen = tier.look("a", token=THIRD).seen
    tier.run("release_many", [tier.key("a")], token=TOKEN)
    tier.look("a")
    tier.fill("a", b"two", seeding=False, token=OTHER, hand_over_ms=1)
    until_next(tier)
    assert tier.look("a", seen, token=THIRD).held


def test_what_was_seen_at_another_server_counts_as_not_seen(tier):
    tier.lease("a")
    elsewhere = Seen(b"8 bytes!" + TOKEN, b"")
    if isinstance(tier.key_value, MemoryKeyValue):
        return  # there is one server only
    assert tier.look("a", elsewhere, token=THIRD).seen == tier.look("a", token=THIRD).seen


def test_a_released_lease_goes_to_the_next(tier):
    tier.lease("a")
    tier.run("release_many", [tier.key("a")], token=OTHER)
    assert not tier.lease("a", token=OTHER)[0].held
    tier.run("release_many", [tier.key("a")], token=TOKEN)
    assert tier.lease("a", token=OTHER)[0] == Lease(None, held=True, seeding=True)


def test_a_lease_runs_out(tier):
    tier.lease("a", lease_ms=1)
    until_next(tier)
    assert tier.lease("a", token=OTHER)[0].held
    assert not tier.fill("a", b"late", seeding=True)


def until_next(tier) -> None:
    tier.face.run(tier.runtime.sleep, 0.02)


def test_a_fill_needs_the_lease_of_its_miss(tier):
    assert not tier.fill("a", b"one", seeding=False)
    tier.lease("a")
    assert not tier.fill("a", b"one", seeding=True, token=OTHER)
    assert tier.fill("a", b"one", seeding=True)
    assert not tier.fill("a", b"again", seeding=False)
    assert tier.get("a") == [b"one"]


def test_a_write_drops_value_and_lease(tier):
    tier.load("a", b"one")
    tier.invalidate("a", floor=90)
    assert tier.get("a") == [None]
    assert tier.lease("a")[0] == Lease(None, held=True, seeding=False)
    tier.invalidate("a", floor=90)
    assert not tier.fill("a", b"one", seeding=False)


def test_a_read_from_before_a_write_is_not_filled(tier):
    tier.load("a", b"one")
    tier.invalidate("a", floor=120)
    tier.lease("a")
    assert not tier.fill("a", b"old", seeding=False, as_of=120)
    tier.lease("a")
    assert tier.fill("a", b"new", seeding=False, as_of=121)


def test_floors_hold_numbers_of_64_bits(tier):
    top = 2**63 - 10
    tier.load("a", b"one", as_of=100, ceiling=100)
    tier.invalidate("a", floor=top)
    tier.lease("a")
    assert not tier.fill("a", b"old", seeding=False, as_of=top)
    tier.lease("a")
    assert tier.fill("a", b"new", seeding=False, as_of=top + 1)


def test_a_write_never_creates_a_floor(tier):
    tier.invalidate("a", floor=50)
    assert tier.lease("a")[0].seeding


def test_what_is_raised_while_seeding_counts(tier):
    tier.lease("a")
    tier.invalidate("a", floor=200)
    assert not tier.fill("a", b"old", seeding=True, as_of=150, ceiling=150)
    (lease,) = tier.lease("a")
    assert lease == Lease(None, held=True, seeding=False)
    assert not tier.fill("a", b"old", seeding=False, as_of=200)


def test_a_seeding_is_taken_over_with_what_was_raised(tier):
    tier.lease("a")
    tier.invalidate("a", floor=200)
    assert tier.lease("a", token=OTHER)[0] == Lease(None, held=True, seeding=True)
    assert not tier.fill("a", b"mine was taken", seeding=True, as_of=300, ceiling=300)
    assert not tier.fill("a", b"old", seeding=True, token=OTHER, as_of=200, ceiling=200)


def test_running_transactions_hold_the_first_fill_back(tier):
    assert not tier.load("a", b"one", as_of=90, ceiling=100)
    assert tier.load("a", b"one", as_of=100, ceiling=110)


@pytest.mark.parametrize(
    ("version", "revision", "kept"), [(4, 1, b"five"), (5, 0, b"five"), (6, 0, b"five"), (5, 1, b"new"), (6, 2, b"new")]
)
def test_neither_version_nor_revision_goes_down(tier, version, revision, kept):
    """A second holder, after the first lease ran out, comes later with an older or a newer read."""
    tier.load("floor", b"")
    tier.lease("a", lease_ms=1)
    until_next(tier)
    tier.lease("a", token=OTHER)
    tier.lease("b")
    assert tier.fill("a", b"five", seeding=True, token=OTHER, version=5, revision=1)
    set_lease(tier, "a")
    assert tier.fill("a", b"new", seeding=False, version=version, revision=revision) is (kept == b"new")
    assert tier.get("a") == [kept]


def set_lease(tier, name: str) -> None:
    """A lease beside a value: what is left when the value came in between."""
    key = tier.key(name)
    if isinstance(tier.key_value, MemoryKeyValue):
        tier.key_value.fences.leases[key] = TOKEN
        return
    put_lease(tier, key)


def put_lease(tier, key: str) -> None:
    script = Script.of("return redis.call('SET', KEYS[1], ARGV[1] .. ARGV[2])")

    async def call() -> None:
        deadline = tier.runtime.deadline(PATIENT_S)
        await tier.key_value._route.ask([script((lease_key(key),), TOKEN)], deadline)

    tier.face.run(call)


def test_versions_of_64_bits_are_compared_exactly(tier):
    top = 2**62
    tier.load("a", b"new", version=top + 1)
    set_lease(tier, "a")
    assert not tier.fill("a", b"old", seeding=False, version=top)
    assert tier.get("a") == [b"new"]


def test_a_value_expires(tier):
    tier.load("a", b"one", ttl_ms=1)
    until_next(tier)
    assert tier.get("a") == [None]


def test_identity_and_version(tier):
    async def ask() -> tuple[str, str, str]:
        deadline = tier.runtime.deadline(PATIENT_S)
        own = tier.key_value
        return await own.identity(deadline), await own.identity(deadline), await own.ping(deadline)

    first, second, version = tier.face.run(ask)
    assert first == second
    assert len(first) == 40
    assert version == "memory" or version.split()[0] in ("redis", "valkey")
