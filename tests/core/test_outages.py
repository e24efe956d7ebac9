"""What does not answer is said once when that begins and once when it ends, whoever reports it and however often."""

from __future__ import annotations

import threading

import pytest

from tierstore.errors import ConnectionError, PoolTimeoutError, QueryError, TimeoutError
from tierstore.runtime.jobs import Backoff
from tierstore.runtime.outages import QUIET_S, STILL_WORKS, TRIED_AGAIN, Outages


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def outages(clock) -> Outages:
    return Outages(clock)


@pytest.mark.parametrize("component", STILL_WORKS)
def test_one_line_each_says_what_fails_why_what_still_works_and_when_it_is_tried_again(
    outages, clock, caplog, component
):
    for _ in range(100):
        outages.began(component, "no route\n\tto host")
    assert component in outages
    clock.now += 12.5
    for _ in range(100):
        outages.ended(component)
    assert component not in outages
    began, ended = caplog.messages
    for part in (component, "no route to host", STILL_WORKS[component], TRIED_AGAIN[component]):
        assert part in began
    assert component in ended
    assert "12.5 s" in ended


def test_the_servers_of_one_component_are_one_outage(outages, caplog):
    first, second = outages.of("Redis", "one:6379"), outages.of("Redis", "two:6379")
    first.began("gone")
    second.began("gone")
    first.ended()
    assert len(caplog.messages) == 1
    assert "one:6379" in caplog.messages[0]
    second.ended()
    assert len(caplog.messages) == 2


def test_what_was_missing_at_the_start_ends_with_the_first_answer(outages, caplog):
    outages.began("Redis", "nobody listens")
    outages.of("Redis", "one:6379").ended()
    assert "Redis" not in outages
    assert len(caplog.messages) == 2


def test_what_comes_and_goes_does_not_flood(outages, clock, caplog):
    for _ in range(1000):
        outages.began("database", "reset")
        outages.ended("database")
        clock.now += 0.01
    assert len(caplog.messages) == 2
    clock.now += QUIET_S
    outages.began("database", "reset")
    assert len(caplog.messages) == 3, "later it is reported again"


def test_of_many_threads_one_reports(outages, caplog):
    barrier = threading.Barrier(8)

    def report():
        barrier.wait()
        outages.began("database", "gone")

    threads = [threading.Thread(target=report) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(caplog.messages) == 1


@pytest.mark.parametrize("error", [QueryError("no such table"), PoolTimeoutError("none free"), ValueError("wrong")])
def test_a_job_that_fails_is_logged_when_it_begins_and_when_it_ends(caplog, error):
    backoff = Backoff("relay")
    for _ in range(20):
        backoff.failed(error)
    backoff.succeeded()
    backoff.succeeded()
    failed, works = [record.message for record in caplog.records if record.levelname == "WARNING"]
    for part in ("relay", type(error).__name__, str(error)):
        assert part in failed
    assert "relay" in works


@pytest.mark.parametrize("error", [ConnectionError("gone"), TimeoutError("late")])
def test_a_job_whose_server_does_not_answer_says_nothing_itself(caplog, error):
    backoff = Backoff("relay")
    backoff.failed(error)
    backoff.succeeded()
    assert [record for record in caplog.records if record.levelname != "DEBUG"] == []
