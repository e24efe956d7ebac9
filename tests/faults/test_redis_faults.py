"""Redis breaks: calls end within their budgets, nothing stale is found afterwards, and the driver comes back by itself."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import redis

from tests.faults.redis_tools import NOISE_S, OTHER, RECOVERY_S, TOKEN, Client
from tests.servers.redis_cluster import RedisCluster
from tests.servers.redis_impostor import Refuser
from tierstore.backends.redis.breaker import FAILURES
from tierstore.backends.redis.cluster import cluster_slot
from tierstore.backends.redis.key_value import HARD_TIMEOUT_S, SOFT_TIMEOUT_S
from tierstore.config import SentinelConfig
from tierstore.errors import ConfigError, ConnectionError, QueryError, StorageError, TimeoutError

FLOOR_LIFE_S = 24 * 3600
Make = Callable[..., Client]


def test_paused_calls_end_within_their_budgets_and_then_at_once(redis_server, client):
    own = client(url=redis_server.url)
    own.load("a", b"one")
    redis_server.pause()
    for call in ("get", "lease"):
        outcome = own.timed(call, "a")
        assert isinstance(outcome.error, TimeoutError)
        assert outcome.took_s < SOFT_TIMEOUT_S * 1.1 + NOISE_S
    outcome = own.timed("invalidate", "a")
    assert isinstance(outcome.error, TimeoutError)
    assert outcome.took_s < HARD_TIMEOUT_S * 1.1 + NOISE_S
    while not own.driver._route.known()[0].breaker.is_open:
        own.timed("get", "a")
    times = sorted(own.timed("get", "a").took_s for _ in range(50))
    assert times[len(times) // 2] < 0.001
    assert isinstance(own.timed("get", "a").error, ConnectionError)
    redis_server.resume()
    assert own.until_it_answers("a") in ([b"one"], [None])


def test_a_call_ends_by_its_callers_deadline(redis_server, client):
    own = client(url=redis_server.url, patient=True)
    own.get("a")
    redis_server.pause()

    async def call() -> None:
        await own.driver.get_many([own.key("a")], deadline=own.runtime.deadline(0.02))

    began = time.monotonic()
    with pytest.raises(TimeoutError):
        own.face.run(call)
    assert time.monotonic() - began < 0.022 + NOISE_S


def test_a_probe_makes_the_trials_while_it_is_open(redis_server, client):
    own = client(url=redis_server.url)
    redis_server.pause()
    while not own.driver._route.known()[0].breaker.is_open:
        own.timed("get", "a")

    async def probe() -> None:
        assert await own.driver.probe() > 0

    for _ in range(3):
        own.face.run(probe)
        failures = [type(own.timed("get", "a").error) for _ in range(20)]
        assert set(failures) == {
            ConnectionError
        }  # at once: one that makes the trial itself is told that it took too long
        own.face.run(own.runtime.sleep, 0.4)
    redis_server.resume()
    until = time.monotonic() + RECOVERY_S
    while own.timed("get", "a").error is not None:
        assert time.monotonic() < until
        own.face.run(own.runtime.sleep, 0.1)
        own.face.run(probe)


def test_late_fills_are_refused_after_it_wakes(redis_server, client):
    own = client(url=redis_server.url)
    with own.patiently():
        lease = own.lease("a", lease_ms=200)
    redis_server.pause()
    assert isinstance(own.timed("fill", "a", b"late", seeding=lease.seeding).error, TimeoutError)
    own.face.run(own.runtime.sleep, 0.2)
    redis_server.resume()
    assert own.until_it_answers("a") == [None]
    with own.patiently():
        assert own.lease("a", token=OTHER).held


@pytest.mark.requirement("S1-19")
def test_killed_and_started_empty(redis_server, client):
    own = client(url=redis_server.url)
    own.load("a", b"one")
    with own.patiently():
        before = own.identity()
    redis_server.kill()
    outcome = own.timed("get", "a")
    assert isinstance(outcome.error, ConnectionError)
    assert outcome.took_s < SOFT_TIMEOUT_S + NOISE_S
    redis_server.start()
    assert own.until_it_answers("a") == [None]
    with own.patiently():
        assert own.identity() != before
        assert not own.fill("a", b"of the run before", seeding=False)
        assert own.lease("a").seeding
        assert own.fill("a", b"two", seeding=True)


def test_values_that_a_snapshot_brings_back_are_misses(own_server, client):
    own = client(url=own_server.url, patient=True)
    own.load("a", b"one")
    own.lease("b")
    with redis.Redis.from_url(own_server.url) as server:
        server.save()
    own.invalidate("a", floor=200)
    own_server.kill()
    own_server.start()
    assert own.until_it_answers("a") == [None]
    assert not own.fill("b", b"leased in the run before", seeding=True)
    assert own.lease("a", token=OTHER).seeding
    assert own.lease("b", token=OTHER).seeding
    own.invalidate("a", "b", floor=300)
    assert not own.fill("a", b"old", seeding=True, token=OTHER, as_of=300)


def test_flushall_brings_misses_only(redis_server, client):
    own = client(url=redis_server.url, patient=True)
    own.load("a", b"one")
    lease = own.lease("b")
    redis_server.flush()
    assert own.get("a") == [None]
    own.invalidate("b")
    assert not own.fill("b", b"from before", seeding=lease.seeding)
    assert own.load("a", b"two")


def test_nothing_stays_behind_for_ever(redis_server, client):
    """As under the names of a database that has another identity now."""
    own = client(url=redis_server.url, patient=True)
    with redis.Redis.from_url(redis_server.url) as server:
        for step in (lambda: own.lease("a"), lambda: own.load("a", b"one"), lambda: own.invalidate("a")):
            step()
            names = list(server.scan_iter(f"*{own.key('a')[4:16]}*", count=1000))
            assert names
            assert all(0 < server.ttl(name) <= FLOOR_LIFE_S for name in names), names


def test_scripts_that_the_server_forgot_are_sent_again(redis_server, client):
    own = client(url=redis_server.url, patient=True)
    with redis.Redis.from_url(redis_server.url) as server:
        for call in (
            lambda: own.load("a", b"one"),
            lambda: own.invalidate("a"),
            lambda: own.run("release_many", [own.key("a")], token=TOKEN),
        ):
            server.script_flush()
            call()
    assert own.get("a") == [None]


def test_out_of_memory_reads_go_on_and_writes_still_invalidate(own_server, client):
    own = client(url=own_server.url, patient=True)
    own.load("a", b"one")
    own.load("b", b"two")
    own.lease("c")
    with redis.Redis.from_url(own_server.url) as server:
        server.config_set("maxmemory", 1)
        assert own.get("a", "b") == [b"one", b"two"]
        for outcome in (own.timed("lease", "new"), own.timed("fill", "c", b"three", seeding=True)):
            assert isinstance(outcome.error, QueryError)
            assert "maxmemory" in str(outcome.error)
        own.invalidate("a", floor=200)
        assert own.get("a", "b") == [None, b"two"]
        server.config_set("maxmemory", 0)
    lease = own.lease("a")
    assert (lease.held, lease.seeding) == (True, False)
    assert not own.fill("a", b"old", seeding=False, as_of=200)


def test_a_server_that_becomes_a_replica_is_left_and_found_again(own_server, redis_server, client):
    own = client(url=own_server.url, patient=True)
    own.load("a", b"one")
    with redis.Redis.from_url(own_server.url) as server:
        server.replicaof("127.0.0.1", redis_server.port)
        assert isinstance(own.timed("lease", "b").error, ConnectionError)
        outcome = own.timed("get", "a")
        assert isinstance(outcome.error, ConnectionError)
        assert "replica" in str(outcome.error)
        server.replicaof("no", "one")
    assert own.until_it_answers("a") == [None]


@pytest.mark.requirement("S1-74")
def test_sentinel_fail_over_is_another_epoch(redis_sentinel, client):
    hosts = (("127.0.0.1", 1), *redis_sentinel.hosts)  # one that is not there is passed over
    stranger = SentinelConfig(hosts, "nobody")
    with pytest.raises(ConfigError, match="primary of 'nobody'"):
        client(sentinel=stranger, patient=True).get("a")
    own = client(sentinel=SentinelConfig(hosts, redis_sentinel.service), patient=True)
    assert own.load("a", b"one")
    before = own.identity()
    redis_sentinel.primary.kill()
    assert isinstance(own.timed("get", "a").error, StorageError)
    redis_sentinel.await_fail_over()
    assert own.until_it_answers("a") == [None]
    assert own.identity() != before
    assert own.load("a", b"two")
    assert own.get("a") == [b"two"]


@pytest.mark.requirement("S1-73", "S1-74")
def test_slots_that_move_to_another_node_are_followed(redis_cluster, client):
    own = client(cluster=redis_cluster.urls[:1], patient=True)
    own.get(*range(20))
    owners = {}
    for number, node in enumerate(redis_cluster.nodes):
        for name in range(200):
            slot = cluster_slot(own.key(name))
            if number * 16384 // 3 <= slot < (number + 1) * 16384 // 3:
                owners[number] = (name, slot, node)
    (name, slot, source), target = owners[0], redis_cluster.nodes[1]
    redis_cluster.move_slot(slot, source, target)
    try:
        assert own.get(name, *range(20))[0] is None
        assert own.load(name, b"moved")
        assert own.get(name) == [b"moved"]
        own.invalidate(name)
        assert own.get(name) == [None]
    finally:
        target.flush()
        redis_cluster.move_slot(slot, target, source)


def test_a_paused_node_costs_its_own_keys_only(redis_cluster, client):
    own = client(cluster=redis_cluster.urls)
    names = range(60)
    for name in names:
        own.load(name, b"%d" % name)
    paused = redis_cluster.nodes[2]
    paused.pause()
    try:
        outcomes = [own.timed("get", *names) for _ in range(FAILURES + 2)]
        assert all(outcome.took_s < SOFT_TIMEOUT_S * 1.1 + NOISE_S for outcome in outcomes)
        with own.patiently():
            found = own.get(*names)
            leases = own.run("lease_many", [own.key(f"new{name}") for name in names], token=TOKEN, lease_ms=1000)
        assert {None} < set(found)
        assert all(value in (None, b"%d" % name) for name, value in zip(names, found, strict=True))
        assert all(lease.held for lease in leases)
        assert isinstance(own.timed("invalidate", *names).error, StorageError)
    finally:
        paused.resume()
        redis_cluster.flush()


@pytest.mark.parametrize(
    "error",
    ["LOADING Redis is loading", "CLUSTERDOWN Hash slot not served", "TRYAGAIN Multiple keys", "MASTERDOWN Link"],
)
def test_a_server_that_cannot_serve_now_is_a_connection_error(client, error):
    refuser = Refuser(error)
    own = client(url=refuser.url, patient=True)
    for call in ("get", "lease"):
        assert isinstance(own.timed(call, "a").error, ConnectionError)
    refuser.close()


def test_a_node_whose_replica_takes_its_place(client):
    cluster = RedisCluster(replica=True)
    cluster.start()
    try:
        own = client(cluster=cluster.urls, patient=True)
        names = range(60)
        for name in names:
            own.load(name, b"%d" % name)
        before = own.identity()
        cluster.nodes[0].kill()
        cluster.await_promotion()
        until = time.monotonic() + RECOVERY_S
        while own.timed("invalidate", *names).error is not None:
            assert time.monotonic() < until
            own.face.run(own.runtime.sleep, 0.1)
        assert own.identity() != before
        assert all(own.lease(name).held for name in names)
    finally:
        cluster.close()


@pytest.mark.parametrize("error", ["OOM command not allowed", "MISCONF Redis is configured to save", "ERR unknown"])
def test_a_server_that_refuses_is_a_query_error(client, error):
    refuser = Refuser(error)
    assert isinstance(client(url=refuser.url, patient=True).timed("get", "a").error, QueryError)
    refuser.close()


def test_a_server_without_a_run_id_is_not_trusted(client):
    refuser = Refuser("", info="role:master\r\n")
    with pytest.raises(ConfigError, match="run id"):
        client(url=refuser.url, patient=True).get("a")
    refuser.close()
