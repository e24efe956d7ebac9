"""`store.state` against a dict whose values end, step by step: hypothesis chooses the calls, and moves the clock."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.conftest import BlockingFace
from tests.contract.test_state_clock import at, clocked
from tierstore import ABSENT, KEEP, ConflictError

KEYS = st.sampled_from(["a", "a:1", "a:2", "a%", "a_", "b", "ü", "\U0010ffff"])
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False), st.text(), st.binary(),
    st.lists(st.integers(-5, 5), max_size=3), st.dictionaries(st.text(max_size=3), st.integers(-5, 5), max_size=3),
)  # fmt: skip
LIFETIMES = st.one_of(st.none(), st.sampled_from([1, 2, 5, 60]))
INT64 = range(-(2**63), 2**63)


def same(one: Any, other: Any) -> bool:
    """Equal as JSON."""
    return type(one) is type(other) and one == other


class StateMachine(RuleBasedStateMachine):
    """`held`: the model, each key with its value, its end and its etag."""

    place = ""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.face = BlockingFace()
        self.context = clocked(self.face, at(self.place, Path(self.folder.name)))
        store, self.clock = self.context.__enter__()
        self.state: Any = store.state
        self.held: dict[str, tuple[Any, float | None, str]] = {}

    def teardown(self) -> None:
        if hasattr(self, "context"):
            self.context.__exit__(None, None, None)
            self.folder.cleanup()

    def run(self, call: str, *args: Any, **named: Any) -> Any:
        return self.face.run(lambda: getattr(self.state, call)(*args, **named))

    def there(self) -> dict[str, tuple[Any, float | None, str]]:
        return {key: held for key, held in self.held.items() if held[1] is None or held[1] > self.clock.now}

    def end(self, ttl: float | None) -> float | None:
        return None if ttl is None else self.clock.now + ttl

    def keep(self, key: str, value: Any, end: float | None) -> None:
        self.held[key] = value, end, self.run("get_entry", key).etag

    @rule(key=KEYS, value=VALUES, ttl=LIFETIMES)
    def set(self, key: str, value: Any, ttl: float | None) -> None:
        self.held[key] = value, self.end(ttl), self.run("set", key, value, ttl=ttl)

    @rule(key=KEYS, value=VALUES)
    def set_and_keep_the_end(self, key: str, value: Any) -> None:
        before = self.there().get(key)
        self.held[key] = value, None if before is None else before[1], self.run("set", key, value, ttl=KEEP)

    @rule(key=KEYS, value=VALUES, ttl=LIFETIMES)
    def add(self, key: str, value: Any, ttl: float | None) -> None:
        absent = key not in self.there()
        assert self.run("add", key, value, ttl=ttl) is absent
        if absent:
            self.keep(key, value, self.end(ttl))

    @rule(key=KEYS, value=VALUES, other=KEYS)
    def set_by_etag(self, key: str, value: Any, other: str) -> None:
        etag = self.held.get(other, (None, None, "none"))[2]
        before = self.there().get(key)
        if before is not None and before[2] == etag:
            self.held[key] = value, self.end(60), self.run("set", key, value, ttl=60, expected_etag=etag)
        else:
            with pytest.raises(ConflictError):
                self.run("set", key, value, ttl=60, expected_etag=etag)

    @rule(key=KEYS)
    def pop(self, key: str) -> None:
        before = self.there().get(key, ("none", None, ""))
        assert same(self.run("pop", key, default="none"), before[0])
        self.held.pop(key, None)

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        assert self.run("delete", key) is (key in self.there())
        self.held.pop(key, None)

    @rule(keys=st.lists(KEYS, max_size=5))
    def delete_many(self, keys: list[str]) -> None:
        assert self.run("delete_many", keys) == len(set(keys) & self.there().keys())
        for key in keys:
            self.held.pop(key, None)

    @rule(prefix=st.sampled_from(["a", "a:", "a%", "a_", "x", "\U0010ffff"]))
    def delete_prefix(self, prefix: str) -> None:
        gone = [key for key in self.there() if key.startswith(prefix)]
        assert self.run("delete_prefix", prefix) == len(gone)
        for key in gone:
            del self.held[key]

    @rule(key=KEYS, ttl=LIFETIMES)
    def touch(self, key: str, ttl: float | None) -> None:
        before = self.there().get(key)
        assert self.run("touch", key, ttl) is (before is not None)
        if before is not None:
            self.held[key] = before[0], self.end(ttl), before[2]

    @rule(key=KEYS, by=st.one_of(st.integers(-5, 5), st.sampled_from([2**63 - 1, -(2**63)])), ttl=LIFETIMES)
    def increment(self, key: str, by: int, ttl: float | None) -> None:
        before = self.there().get(key, (0, self.end(ttl), ""))
        if type(before[0]) is not int or before[0] + by not in INT64:
            with pytest.raises(ConflictError):
                self.run("increment", key, by, ttl=ttl)
            return
        assert self.run("increment", key, by, ttl=ttl) == before[0] + by
        self.keep(key, before[0] + by, before[1])

    @rule(key=KEYS, expected=st.one_of(VALUES, st.just(ABSENT)), value=VALUES)
    def compare_and_set(self, key: str, expected: Any, value: Any) -> None:
        before = self.there().get(key, (ABSENT, None, ""))
        fits = same(before[0], expected)
        assert self.run("compare_and_set", key, expected, value) is fits
        if fits:
            self.keep(key, value, before[1])

    @rule(key=KEYS, ttl=LIFETIMES)
    def update(self, key: str, ttl: float | None) -> None:
        before = self.there().get(key, ("none", None, ""))
        assert self.run("update", key, lambda value: [repr(value)], default="none", ttl=ttl) == [repr(before[0])]
        self.keep(key, [repr(before[0])], self.end(ttl))

    @rule(mapping=st.dictionaries(KEYS, VALUES, max_size=4), ttl=LIFETIMES)
    def set_many(self, mapping: dict[str, Any], ttl: float | None) -> None:
        self.run("set_many", mapping, ttl=ttl)
        for key, value in mapping.items():
            self.keep(key, value, self.end(ttl))

    @rule(seconds=st.sampled_from([0.5, 0.999, 1, 2, 30]))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds

    @invariant()
    def it_holds_what_the_model_holds(self) -> None:
        if not hasattr(self, "state"):
            return
        there = self.there()
        keys = [*sorted(there), "absent"]
        for key, found in zip(keys, self.run("get_many", keys), strict=True):
            assert same(found, there.get(key, (None,))[0])
        assert list(self.run("keys", "").items) == sorted(there)
        for key, (value, end, etag) in there.items():
            entry = self.run("get_entry", key)
            assert entry.etag == etag
            assert same(entry.value, value)
            assert (entry.expires_at is None) is (end is None)
            assert same(self.run("get", key), value)


@pytest.mark.parametrize("place", ["memory", "sqlite"])
def test_state_is_a_dict_whose_values_end(place: str):
    machine = type("Machine", (StateMachine,), {"place": place})
    chosen = settings(max_examples=25, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(machine, settings=chosen)
