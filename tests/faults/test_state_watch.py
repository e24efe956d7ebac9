"""Changes of state on Redis are told, or it is told that some were missed, whatever becomes of servers and connections."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.conftest import BlockingFace
from tests.contract.pairs_tools import State, Watch
from tierstore.backends import Gap
from tierstore.errors import ConfigError

ROOT = Path(__file__).parents[2]
Chaos = Callable[[Any], None]


def cut(server: Any) -> None:
    """The server stands still for a while, and ends all connections a little later."""
    for _ in range(2):
        time.sleep(0.3)
        server.pause()
        time.sleep(0.3)
        server.resume()
        time.sleep(0.1)
        with redis.Redis(port=server.port) as client:
            client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")


def kill(server: Any) -> None:
    """The server is killed, and comes back empty."""
    time.sleep(0.8)
    server.kill()
    time.sleep(0.2)
    server.start()


@pytest.mark.parametrize("chaos", [cut, kill])
@pytest.mark.parametrize("place", ["redis", "cluster"])
def test_every_change_is_told_or_the_lapse(request, processes, place, chaos: Chaos):
    if place == "redis":
        server = request.getfixturevalue("redis_server")
        where: dict[str, Any] = {"url": server.url}
    else:
        cluster = request.getfixturevalue("redis_cluster")
        server, where = cluster.nodes[1], {"cluster": cluster.urls}
    state = State(BlockingFace(), **where).open()
    command = [sys.executable, "-m", "tests.faults.state_worker", state.prefix, json.dumps(where)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    workers = [processes(subprocess.Popen(command, cwd=ROOT, **pipes)) for _ in range(2)]
    for worker in workers:
        assert worker.stdout.readline() == "ready\n"
    watch = state.watch()
    tell(workers, "storm")
    for worker in workers:
        assert worker.stdout.readline() == "under way\n"
    acknowledged: list[tuple[str, str, float]] = []
    fault: list[float] = []

    def collect() -> None:
        fault.append(time.monotonic())
        chaos(server)
        fault.append(time.monotonic())
        tell(workers, "enough")
        for worker in workers:
            acknowledged.extend(json.loads(worker.stdout.readline()))

    collecting = threading.Thread(target=collect)
    collecting.start()
    heard = listen(watch, collecting.is_alive)
    state.put("end", b"1")
    heard += listen(watch, lambda: not any(getattr(event, "key", "") == "end" for event in watch.heard))
    state.close()
    times = [began for _, _, began in acknowledged]
    assert min(times) < fault[0] < fault[1] < max(times)
    judge(acknowledged, heard, may_lapse=place == "cluster" or chaos is kill)


def tell(workers: list[Any], line: str) -> None:
    for worker in workers:
        worker.stdin.write(f"{line}\n")
        worker.stdin.flush()


def listen(watch: Watch, goes_on: Callable[[], bool]) -> list[tuple[float, Any]]:
    """What is heard, each with the time at which it was."""
    heard: list[tuple[float, Any]] = []
    until = time.monotonic() + 90
    while goes_on() and time.monotonic() < until:
        heard += [(time.monotonic(), event) for event in watch.receive(0.1)]
    return heard


def judge(acknowledged: list[tuple[str, str, float]], heard: list[tuple[float, Any]], *, may_lapse: bool) -> None:
    gaps = [at for at, event in heard if isinstance(event, Gap)]
    assert may_lapse or not gaps, heard
    last_gap = max(gaps, default=0.0)
    told: dict[str, list[str]] = {}
    for _, event in heard:
        if not isinstance(event, Gap):
            told.setdefault(event.key, []).append(event.etag)
    made: dict[str, list[str]] = {}
    for key, etag, began in acknowledged:
        made.setdefault(key, []).append(etag)
        assert etag in told.get(key, ()) or began < last_gap, f"{key} was changed after the last gap, and not told"
    for key, etags in made.items():
        order = {etag: place for place, etag in enumerate(etags)}
        places = [order[etag] for etag in told.get(key, ()) if etag in order]
        assert places == sorted(places), f"the changes of {key} came in another order"


@pytest.fixture(params=["redis", "cluster"])
def state(request, face):
    where = (
        {"url": request.getfixturevalue("redis_server").url}
        if request.param == "redis"
        else {"cluster": request.getfixturevalue("redis_cluster").urls}
    )
    made = State(face, **where).open()
    yield made
    made.close()


def clients(state: State) -> list[redis.Redis]:
    return [
        redis.Redis(host=node.name.rpartition(":")[0], port=int(node.name.rpartition(":")[2]))
        for node in state.pairs._route.known()
    ]


@pytest.mark.parametrize("then", ["a change", "nothing"])
def test_a_flushed_server_is_a_lapse(state, monkeypatch, then):
    monkeypatch.setattr("tierstore.backends.redis.state.shards.CHECK_S", 0.1 if then == "nothing" else 60)
    state.put("a", b"1")
    watch = state.watch()
    for client in clients(state):
        with client:
            client.flushall()
    if then == "a change":
        state.put("a", b"2")
    watch.until("gap")
    state.put("a", b"3")
    watch.until("set", "a")


def test_a_stream_that_was_cut_off_before_it_was_read_is_a_lapse(face, redis_server):
    state = State(face, url=redis_server.url).open()
    watch = state.watch()
    state.put("a", b"1")
    watch.until("set", "a")
    for number in range(50):
        state.put("b", b"%d" % number)
    with redis.Redis.from_url(redis_server.url) as server:
        server.xtrim(state.pairs._names.stream, maxlen=10, approximate=False)
    assert watch.until("gap") == [("gap", "")]
    state.put("c", b"1")
    watch.until("set", "c")
    state.close()


def test_a_mark_that_was_lost_is_a_lapse(face, redis_server):
    state = State(face, url=redis_server.url).open()
    watch = state.watch()
    with redis.Redis.from_url(redis_server.url) as server:
        server.delete(state.pairs._names.mark)
    state.put("a", b"1")  # nobody is told of it
    watch._feed._prolong_at = 0.0
    watch.until("gap")
    state.put("a", b"2")
    watch.until("set", "a")
    state.close()


def test_a_feed_without_changes_stays_without_a_lapse(state, monkeypatch):
    monkeypatch.setattr("tierstore.backends.redis.state.shards.CHECK_S", 0.1)
    monkeypatch.setattr("tierstore.backends.redis.state.stream.PROLONG_S", 0.1)
    watch = state.watch()
    watch._feed._check_at = watch._feed._prolong_at = 0.0
    for number in range(20):
        state.put("a", b"%d" % number)
        watch.receive(0.05)
    state.put("b", b"1")
    watch.until("set", "b")
    assert [event.key for event in watch.heard] == ["a"] * 20 + ["b"]


def test_a_change_that_was_counted_and_not_published_is_a_lapse(face, redis_cluster, monkeypatch):
    monkeypatch.setattr("tierstore.backends.redis.state.shards.CHECK_S", 0.1)
    state = State(face, cluster=redis_cluster.urls).open()
    watch = state.watch()
    with redis.RedisCluster.from_url(redis_cluster.urls[0]) as client:
        client.incr(state.pairs._names.counters[77])
    watch.until("gap")
    state.close()


def test_rubbish_where_changes_are_told_is_a_lapse(state):
    watch = state.watch()
    names = state.pairs._names
    if state.pairs._route.single:
        with clients(state)[0] as client:
            client.xadd(names.stream, {"some": "thing", "else": "there"})
            client.xadd(names.stream, {"c": "x|y"})
    else:
        for client in clients(state):
            with client, contextlib.suppress(redis.ResponseError):
                client.execute_command("SPUBLISH", names.counters[9], "rubbish")
    watch.until("gap")
    state.put("a", b"1")
    watch.until("set", "a")


def test_a_slot_that_moves_is_a_lapse(face, redis_cluster):
    state = State(face, cluster=redis_cluster.urls).open()
    watch = state.watch()
    source, target = redis_cluster.nodes[0], redis_cluster.nodes[1]
    redis_cluster.move_slot(5, source, target)
    watch.until("gap")
    state.put("a", b"1")
    watch.until("set", "a")
    redis_cluster.move_slot(5, target, source)
    state.close()


def test_more_keys_with_an_end_than_allowed_are_refused(request, face, redis_server):
    state = State(face, url=redis_server.url, max_watched=3).open()
    for number in range(3):
        state.put(f"k{number}", b"1")
    watch = state.watch()
    state.put("k3", b"1")
    with pytest.raises(ConfigError, match="max_watched"):
        watch.until("gap")
    with pytest.raises(ConfigError, match="max_watched"):
        state.watch()
    state.run("expire", "k3", None)
    watch.until("gap")
    state.close()
