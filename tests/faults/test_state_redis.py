"""The Redis that keeps state breaks: typed errors by the deadline, nothing sent twice, nothing half written, nothing for a wrong caller."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import redis

from tests.clock import BUSY_S
from tests.conftest import BlockingFace
from tests.contract.pairs_tools import PATIENT_S, State
from tests.servers.redis_impostor import BadLink, Refuser
from tierstore.backends.pairs import ABSENT_TAG, Put
from tierstore.backends.redis.cluster import cluster_slot
from tierstore.config import SentinelConfig
from tierstore.errors import (
    ConfigError,
    ConnectionError,
    OutcomeUnknownError,
    QueryError,
    StorageError,
    TimeoutError,
)
from tierstore.runtime import AsyncioRuntime

ROOT = Path(__file__).parents[2]
SHORT_S, NOISE_S = 0.15, BUSY_S
REPEATABLE: dict[str, Callable[[State, float], Any]] = {
    "set": lambda state, timeout_s: state.run("put", Put("a", b"2", None), timeout_s=timeout_s),
    "set_many": lambda state, timeout_s: state.run("put_many", [Put("a", b"2", None)], timeout_s=timeout_s),
    "delete": lambda state, timeout_s: state.run("delete", "a", timeout_s=timeout_s),
    "delete_many": lambda state, timeout_s: state.run("delete_many", ["a"], timeout_s=timeout_s),
    "expire": lambda state, timeout_s: state.run("expire", "a", 5_000, timeout_s=timeout_s),
}
ONCE: dict[str, Callable[[State, float], Any]] = {
    "add": lambda state, timeout_s: state.run("put", Put("new", b"2", None, ABSENT_TAG), timeout_s=timeout_s),
    "set by etag": lambda state, timeout_s: state.run("put", Put("a", b"2", None, "0" * 32), timeout_s=timeout_s),
    "delete by etag": lambda state, timeout_s: state.run("delete", "a", expected="0" * 32, timeout_s=timeout_s),
    "pop": lambda state, timeout_s: state.run("pop", "a", timeout_s=timeout_s),
    "increment": lambda state, timeout_s: state.run("increment", "n", 1, None, timeout_s=timeout_s),
}
READS: dict[str, Callable[[State, float], Any]] = {
    "get": lambda state, timeout_s: state.run("get_many", ["a"], timeout_s=timeout_s),
    "look": lambda state, timeout_s: state.run("look", "a", timeout_s=timeout_s),
    "ttl": lambda state, timeout_s: state.run("left_ms", "a", timeout_s=timeout_s),
    "page": lambda state, timeout_s: state.run("page", "", limit=5, after=None, timeout_s=timeout_s),
    "watch": lambda state, timeout_s: state.run("watch", "", timeout_s=timeout_s),
    "counts": lambda state, timeout_s: state.run("counts", timeout_s=timeout_s),
    "ping": lambda state, timeout_s: state.run("ping", timeout_s=timeout_s),
}
ALL = REPEATABLE | ONCE | READS


@pytest.fixture
def make(face) -> Iterator[Callable[..., State]]:
    made: list[State] = []

    def of(**where: Any) -> State:
        made.append(State(face, **where))
        return made[-1]

    yield of
    for state in made:
        state.close()


def failure(state: State, name: str, timeout_s: float = SHORT_S) -> StorageError:
    """What the call raises, by its deadline."""
    began = time.monotonic()
    with pytest.raises(StorageError) as caught:
        ALL[name](state, timeout_s)
    assert time.monotonic() - began < timeout_s + NOISE_S, name
    return caught.value


def test_a_paused_server(redis_server, make):
    states = {name: make(url=redis_server.url).open() for name in ("set", "increment", "get")}
    state = states["set"]
    state.put("a", b"1")
    redis_server.pause()
    for name, own in states.items():  # over a connection that is there
        error = failure(own, name)
        assert type(error) is (OutcomeUnknownError if name in ONCE else TimeoutError), name
    for name in ALL:  # over new ones: nothing is sent
        assert type(failure(state, name)) is TimeoutError, name
    redis_server.resume()
    state.until(lambda: answers(state), "it did not come back")


def test_a_server_that_is_gone(redis_server, make):
    state = make(url=redis_server.url).open()
    state.put("a", b"1")
    redis_server.kill()
    for number, name in enumerate(ALL):
        error = failure(state, name)
        assert type(error) is ConnectionError or (number == 0 and type(error) is OutcomeUnknownError), name
    redis_server.start()
    state.until(lambda: answers(state), "it did not come back")
    assert state.get("a") is None


def answers(state: State) -> bool:
    try:
        state.get("a")
    except StorageError:
        return False
    return True


@pytest.mark.parametrize(
    ("said", "error_class"),
    [
        ("READONLY You can't write against a read only replica.", ConnectionError),
        ("LOADING Redis is loading the dataset in memory", ConnectionError),
        ("MASTERDOWN Link with MASTER is down", ConnectionError),
        ("BUSY Redis is busy running a script.", ConnectionError),
        ("NOREPLICAS Not enough good replicas to write.", ConnectionError),
        ("OOM command not allowed when used memory > 'maxmemory'.", QueryError),
        ("MISCONF Redis is configured to save RDB snapshots", QueryError),
        ("ERR anything", QueryError),
        ("NOPERM this user has no permissions", ConfigError),
        ("NOAUTH Authentication required.", ConfigError),
    ],
)
def test_what_a_server_refuses_is_a_typed_error(make, said, error_class):
    refuser = Refuser(said)
    state = make(url=refuser.url)
    for name in (*REPEATABLE, *ONCE, "get", "look", "page"):
        error = failure(state, name, PATIENT_S)
        assert type(error) is error_class, name
        assert error.tier == "state", name
    refuser.close()


@pytest.mark.parametrize("breaks", ["black_hole", "breaks_in_a_reply"])
def test_a_change_whose_answer_is_lost_is_made_once(redis_server, make, breaks):
    proxy = BadLink(redis_server.port)
    state = make(url=proxy.url).open()
    state.run("increment", "n", 1, None)
    getattr(proxy, breaks)()
    assert type(failure(state, "increment")) is OutcomeUnknownError
    assert type(failure(state, "set")) in (ConnectionError, TimeoutError)
    proxy.heals()
    state.until(lambda: answers(state), "it did not come back")
    assert state.get("n") == b"2"
    proxy.close()


def test_a_read_whose_connection_breaks_is_made_again(redis_server, make):
    proxy = BadLink(redis_server.port)
    state = make(url=proxy.url).open()
    state.put("a", b"1")
    whole = proxy.answers

    def break_once(client: Any, received: bytes) -> None:
        proxy.answers = whole
        client.shutdown(socket.SHUT_RDWR)

    proxy.answers = break_once
    assert state.get("a") == b"1"
    proxy.close()


def test_callers_in_a_hurry_do_not_open_the_breaker(redis_server, make):
    state = make(url=redis_server.url).open()
    state.get("a")
    redis_server.pause()
    for _ in range(5):
        with pytest.raises(TimeoutError):
            state.run("get_many", ["a"], timeout_s=0.01)
    assert not state.pairs._route.known()[0].breaker.is_open
    redis_server.resume()
    assert state.get("a") is None


def test_an_account_without_transactions_stores_by_script(redis_server, make):
    with redis.Redis.from_url(redis_server.url) as server:
        rights = "on >secret resetkeys resetchannels ~* &* -@all +@connection +@read +@write +@scripting +info +time"
        server.execute_command("ACL", "SETUSER", "plain", *rights.split(" "))
    state = make(url=redis_server.url.replace("//", "//plain:secret@")).open()
    for number in range(3):
        state.put("a", b"%d" % number)
        assert state.get("a") == b"%d" % number
    watch = state.watch()
    state.put("a", b"1")
    watch.until("set", "a")


class Together:
    """Callers of one event loop on one driver."""

    def __init__(self, server_url: str, prefix: str | None = None) -> None:
        self._where = {"url": server_url, "prefix": prefix}

    def run(self, function: Callable[[State], Any]) -> Any:
        async def main() -> Any:
            state = State(SimpleNamespace(runtime=AsyncioRuntime), **self._where)
            await state.pairs.open(state.runtime.deadline(10))
            try:
                return await function(state)
            finally:
                await state.pairs.close(state.runtime.deadline(10))

        return asyncio.run(main())


@pytest.fixture
def together(redis_server) -> Together:
    return Together(redis_server.url)


def test_callers_who_leave_do_not_take_others_with_them(together):
    async def leave(state: State) -> None:
        pairs, deadline = state.pairs, state.runtime.deadline(10)
        for round in range(30):
            tasks = [
                asyncio.create_task(pairs.put(Put(f"k{number}", b"%d" % round, None), deadline=deadline))
                for number in range(40)
            ]
            tasks += [
                asyncio.create_task(pairs.increment(f"n{number}", 1, None, deadline=deadline)) for number in range(40)
            ]
            for _ in range(round % 5):
                await asyncio.sleep(0)
            left = tasks[round % 7 :: 7]
            for task in left:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert not [
                one
                for task, one in zip(tasks, results, strict=True)
                if task not in left and isinstance(one, BaseException)
            ]

    together.run(leave)


def test_a_caller_in_a_hurry_does_not_take_others_with_it(together, redis_server):
    async def hurry(state: State) -> None:
        pairs, runtime = state.pairs, state.runtime
        await pairs.increment("n", 1, None, deadline=runtime.deadline(5))
        redis_server.pause()
        short = asyncio.create_task(pairs.increment("n", 1, None, deadline=runtime.deadline(0.1)))
        await asyncio.sleep(0)
        second = asyncio.create_task(pairs.increment("n", 1, None, deadline=runtime.deadline(0.2)))
        third = asyncio.create_task(pairs.increment("n", 1, None, deadline=runtime.deadline(10)))
        with pytest.raises(OutcomeUnknownError):
            await short
        with pytest.raises((OutcomeUnknownError, TimeoutError)):
            await second
        redis_server.resume()
        last = await third
        (pair,) = await pairs.get_many(["n"], deadline=runtime.deadline(5))
        assert last == int(pair.value) <= 4

    together.run(hurry)


@pytest.mark.parametrize("watched", [False, True])
def test_a_key_that_an_account_may_not_touch_is_refused_alone(redis_server, watched):
    """Under a prefix of its own: who watches asks for the ends of all keys that are there, also for those of other tests."""
    prefix = f"{os.urandom(6).hex()}:"
    with redis.Redis.from_url(redis_server.url) as server:
        rights = f"on >secret resetkeys resetchannels ~{prefix}ok:* ~{prefix}\x1fstate* &* +@all"
        server.execute_command("ACL", "SETUSER", "some", *rights.split(" "))

    async def refused(state: State) -> None:
        pairs, deadline = state.pairs, state.runtime.deadline(10)
        await pairs.put(Put("ok:first", b"1", None), deadline=deadline)
        feed = await pairs.watch("", deadline=deadline) if watched else None
        names = [f"ok:{number}" for number in range(20)] + ["no:1", "no:2"]
        puts = [Put(name, b"1", None, expected) for name in names for expected in (None, ABSENT_TAG)]
        results = await asyncio.gather(*(pairs.put(put, deadline=deadline) for put in puts), return_exceptions=True)
        for put, result in zip(puts, results, strict=True):
            assert isinstance(result, ConfigError) == put.key.startswith("no:"), (put, result)
        told: set[str] = set()
        while feed is not None and len(told) < 20:
            deadline.check("waiting to be told of the changes that were made")
            told |= {event.key for event in await feed.receive(wait_s=deadline.remaining())}
        assert not told or told == {name for name in names if name.startswith("ok:")}

    Together(redis_server.url.replace("//", "//some:secret@"), prefix).run(refused)


# Two processes

KEYS = 200


@pytest.mark.parametrize("place", ["redis", "cluster"])
def test_two_processes_race(request, place, processes):
    if place == "redis":
        where: dict[str, Any] = {"url": request.getfixturevalue("redis_server").url}
    else:
        where = {"cluster": request.getfixturevalue("redis_cluster").urls}
    state = State(BlockingFace(), **where).open()
    command = [sys.executable, "-m", "tests.faults.state_worker", state.prefix, json.dumps(where)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    workers = [processes(subprocess.Popen(command, cwd=ROOT, **pipes)) for _ in range(2)]
    for worker in workers:
        assert worker.stdout.readline() == "ready\n"

    def race(name: str) -> list[Any]:
        """What each says that it got."""
        for worker in workers:
            worker.stdin.write(f"{name}\n")
            worker.stdin.flush()
        return [json.loads(worker.stdout.readline()) for worker in workers]

    one, other = race("add")
    assert sorted(one + other) == list(range(KEYS))
    one, other = race("pop")
    assert sorted(one + other) == list(range(KEYS))
    one, other = race("increment")
    assert sorted(one + other) == list(range(1, 2 * KEYS + 1))
    state.put("n", b"0", None)
    assert sum(race("compare_and_set")) == 2 * KEYS
    assert state.get("n") == b"%d" % (2 * KEYS)
    state.close()


# Slots that move


def test_slots_move_while_they_are_written(face, redis_cluster, make):
    state = make(cluster=redis_cluster.urls).open()
    names = [f"{{tag}}{number}" for number in range(30)]
    slot = cluster_slot(state.prefix + names[0])
    owners = {node: node.client().execute_command("CLUSTER MYID").decode() for node in redis_cluster.nodes}
    with redis_cluster.nodes[0].client() as client:
        ranges = client.execute_command("CLUSTER SLOTS")
    source = next(
        node
        for node in redis_cluster.nodes
        if any(int(r[0]) <= slot <= int(r[1]) and int(r[2][1]) == node.port for r in ranges)
    )
    target = next(node for node in redis_cluster.nodes if node is not source)

    def all_at_once(count: int) -> None:
        for number in range(count):
            state.run("increment", names[number % len(names)], 1, None)
            state.put(f"{{tag}}new{number}", b"1", None)

    all_at_once(30)
    with source.client() as leaving, target.client() as coming:
        coming.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", owners[source])
        leaving.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", owners[target])
        keys = leaving.execute_command("CLUSTER GETKEYSINSLOT", slot, 1_000)
        half = len(keys) // 2
        leaving.execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 5_000, "KEYS", *keys[:half])
        errors = []
        for name in names:  # some here, some there, and the counter of the slot in one place only
            try:
                state.run("increment", name, 1, None, timeout_s=0.1)
            except (ConnectionError, TimeoutError, OutcomeUnknownError) as error:
                errors.append(error)
        leaving.execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 5_000, "KEYS", *keys[half:])
        for node in (coming, leaving):
            node.execute_command("CLUSTER SETSLOT", slot, "NODE", owners[target])
    all_at_once(30)
    counts = [int(state.get(name)) for name in names]
    unknown = sum(isinstance(error, OutcomeUnknownError) for error in errors)
    assert 0 <= sum(counts) - (3 * len(names) - len(errors)) <= unknown
    redis_cluster.move_slot(slot, target, source)


# Sentinel


def test_after_a_fail_over_state_goes_on(face, redis_sentinel, make):
    state = make(sentinel=SentinelConfig(redis_sentinel.hosts, redis_sentinel.service)).open()
    state.put("a", b"1")
    with redis.Redis(port=redis_sentinel.primary.port) as primary:
        primary.wait(1, 2_000)
    watch = state.watch()
    redis_sentinel.primary.kill()
    assert isinstance(failure(state, "set"), ConnectionError)
    redis_sentinel.await_fail_over()
    state.until(lambda: answers(state), "it did not come back")
    assert state.get("a") == b"1"
    watch.until("gap")
    etag = state.put("a", b"2")
    watch.until("set", "a")
    assert watch.heard[-1].etag == etag
