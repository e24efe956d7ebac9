"""The circuit breaker, on a clock of the test's own."""

from __future__ import annotations

import pytest

from tierstore.backends.redis.breaker import FAILURES, JITTER, LONGEST_OPEN_S, OPEN_S, PROBED_S, Breaker
from tierstore.errors import ConnectionError, TimeoutError
from tierstore.runtime.outages import Outages

CAUSE = TimeoutError("too slow")


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock) -> Breaker:
    return Breaker("the server", clock, Outages(clock).of("Redis"))


def passes(breaker: Breaker, **named: bool) -> bool:
    try:
        breaker.enter(**named)
    except ConnectionError:
        return False
    return True


def open_it(breaker: Breaker) -> None:
    for _ in range(FAILURES):
        assert passes(breaker)
        breaker.failed(CAUSE)


def test_opens_after_failures_in_a_row(breaker):
    for _ in range(FAILURES - 1):
        breaker.failed(CAUSE)
    breaker.succeeded()
    open_it(breaker)
    with pytest.raises(ConnectionError, match=r"the server failed .*: too slow"):
        breaker.enter()


def test_an_outage_is_one_line_when_it_opens_and_one_when_it_closes(breaker, clock, caplog):
    for _ in range(FAILURES - 1):
        breaker.failed(CAUSE)
    assert not caplog.messages, "it is not open yet"
    breaker.failed(CAUSE)
    for _ in range(5):
        breaker.failed(CAUSE)
        clock.now += LONGEST_OPEN_S * 2
        breaker.enter()
        breaker.failed(CAUSE)
    clock.now += LONGEST_OPEN_S * 2
    breaker.enter(probe=True)
    breaker.succeeded()
    breaker.succeeded()
    began, ended = caplog.messages
    for part in ("Redis", str(CAUSE), "reads go to the database", "writes go on", "tries again"):
        assert part in began
    assert "Redis" in ended
    assert "24.0 s" in ended


def test_one_trial_after_a_second_closes_it(breaker, clock):
    open_it(breaker)
    clock.now += OPEN_S * 0.99
    assert not passes(breaker)
    clock.now += OPEN_S * 0.02
    assert passes(breaker)
    assert not passes(breaker)
    breaker.succeeded()
    assert passes(breaker)
    assert not breaker.failing


def test_trials_that_fail_become_rarer(breaker, clock):
    open_it(breaker)
    clock.now += OPEN_S
    assert passes(breaker)
    for expected in (OPEN_S * 2, LONGEST_OPEN_S, LONGEST_OPEN_S):
        breaker.failed(CAUSE)
        began = clock.now
        while not passes(breaker):
            clock.now += 0.01
        assert expected * (1 - JITTER) <= clock.now - began <= expected * (1 + JITTER) + 0.02


def test_failures_of_calls_that_began_before_it_opened_do_not_prolong_it(breaker, clock):
    open_it(breaker)
    for _ in range(20):
        breaker.failed(CAUSE)
    clock.now += OPEN_S
    assert passes(breaker)


def test_a_trial_that_was_cancelled_is_not_the_last(breaker, clock):
    open_it(breaker)
    clock.now += OPEN_S
    assert passes(breaker)
    clock.now += OPEN_S
    assert passes(breaker)


def test_while_housekeeping_probes_no_caller_is_the_trial(breaker, clock):
    open_it(breaker)
    assert not passes(breaker, probe=True)
    clock.now += OPEN_S
    assert not passes(breaker)
    assert passes(breaker, probe=True)
    clock.now += PROBED_S
    assert passes(breaker)
