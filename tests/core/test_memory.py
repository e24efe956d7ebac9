"""What the in-process tier does beyond the contract: its bounds, and lifetimes of all lengths."""

from __future__ import annotations

from tierstore.backends import Fill
from tierstore.backends.memory.key_value import MemoryKeyValue
from tierstore.plan.keys import Namespace, l2_key
from tierstore.runtime import ThreadsRuntime, drive

TOKEN = b"token"


class Simulated(ThreadsRuntime):
    """A clock that the test moves."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


def key(name: object) -> str:
    return l2_key(Namespace("", "n"), "schema", str(name))


def load(tier: MemoryKeyValue, runtime: Simulated, name: object, ttl_ms: int = 1000) -> bool:
    deadline = runtime.deadline(1)
    (lease,) = drive(tier.lease_many([key(name)], token=TOKEN, lease_ms=1000, deadline=deadline))
    fill = Fill(key(name), TOKEN, str(name).encode(), 1, 1, 100, 100, lease.seeding, ttl_ms)
    return drive(tier.fill_many([fill], deadline=deadline))[0]


def get(tier: MemoryKeyValue, runtime: Simulated, *names: object) -> list[bytes | None]:
    return drive(tier.get_many([key(name) for name in names], deadline=runtime.deadline(1)))


def test_each_value_ends_at_its_own_time():
    runtime = Simulated()
    tier = MemoryKeyValue(runtime)
    for name, ttl_ms in (("long", 3000), ("short", 1000), ("middle", 2000)):
        load(tier, runtime, name, ttl_ms)
    for now, left in ((0.9, 3), (1.0, 2), (2.0, 1), (3.0, 0)):
        runtime.now = now
        assert sum(value is not None for value in get(tier, runtime, "long", "short", "middle")) == left


def test_values_and_leases_are_bounded():
    runtime = Simulated()
    tier = MemoryKeyValue(runtime, max_values=10)
    for name in range(100):
        assert load(tier, runtime, name)
    assert get(tier, runtime, *range(100))[90:] == [b"%d" % name for name in range(90, 100)]
    assert len(tier.fences.values) == 10
    drive(
        tier.lease_many(
            [key(f"x{name}") for name in range(100)], token=TOKEN, lease_ms=1000, deadline=runtime.deadline(1)
        )
    )
    get(tier, runtime, "a")
    assert len(tier.fences.leases) == 10


def test_what_is_kept_about_lifetimes_is_bounded():
    runtime = Simulated()
    tier = MemoryKeyValue(runtime)
    for _ in range(5000):
        drive(tier.lease_many([key("a")], token=TOKEN, lease_ms=60_000, deadline=runtime.deadline(1)))
    assert len(tier._leases._heap) < 100
