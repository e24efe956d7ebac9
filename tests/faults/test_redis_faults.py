"""Redis breaks: calls end within their budgets, nothing stale is found afterwards, and the driver comes back by itself."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from tests.conftest import BlockingFace
from tests.faults.redis_tools import NOISE_S, OTHER, PATIENT_S, RECOVERY_S, TOKEN, Client
from tests.servers.process import free_port
from tests.servers.redis import Redis
from tests.servers.redis_cluster import RedisCluster
from tests.servers.redis_impostor import BadLink, Refuser
from tierstore.backends import Fill
from tierstore.backends.breaker import FAILURES
from tierstore.backends.redis import HARD_TIMEOUT_S, SOFT_TIMEOUT_S
from tierstore.backends.redis_cluster import cluster_slot
from tierstore.backends.redis_node import LIMIT
from tierstore.errors import ConfigError, ConnectionError, PoolTimeoutError, QueryError, StorageError, TimeoutError
from tierstore.runtime import AsyncioRuntime

Make = Callable[..., Client]


@pytest.fixture
def client(face) -> Iterator[Make]:
    """Makes clients, and closes them."""
    made: list[Client] = []

    def make(**options: Any) -> Client:
        made.append(Client(face, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def own_server() -> Iterator[Redis]:
    """A server whose settings a test may change."""
    server = Redis()
    server.start()
    yield server
    server.close()


@pytest.fixture
def link(redis_server) -> Iterator[BadLink]:
    between = BadLink(redis_server.port)
    yield between
    between.close()


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
        *_, third, _, _ = sorted(own.timed("get", "a").took_s for _ in range(100))
        assert third < SOFT_TIMEOUT_S  # a busy machine may hold up one or two
        own.face.run(own.runtime.sleep, 0.4)
    redis_server.resume()
    until = time.monotonic() + RECOVERY_S
    while own.timed("get", "a").error is not None:
        assert time.monotonic() < until
        own.face.run(own.runtime.sleep, 0.1)
        own.face.run(probe)


def test_late_fills_are_refused_after_it_wakes(redis_server, client):
    own = client(url=redis_server.url)
    lease = own.lease("a", lease_ms=200)
    redis_server.pause()
    assert isinstance(own.timed("fill", "a", b"late", seeding=lease.seeding).error, TimeoutError)
    own.face.run(own.runtime.sleep, 0.2)
    redis_server.resume()
    assert own.until_it_answers("a") == [None]
    assert own.lease("a", token=OTHER).held


@pytest.mark.requirement("S1-19")
def test_killed_and_started_empty(redis_server, client):
    own = client(url=redis_server.url)
    own.load("a", b"one")
    before = own.identity()
    redis_server.kill()
    outcome = own.timed("get", "a")
    assert isinstance(outcome.error, ConnectionError)
    assert outcome.took_s < SOFT_TIMEOUT_S + NOISE_S
    redis_server.start()
    assert own.until_it_answers("a") == [None]
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


def test_sentinel_fail_over_is_another_epoch(redis_sentinel, client):
    stranger = _Address(redis_sentinel)
    stranger.service = "nobody"
    with pytest.raises(ConnectionError, match="knows no service 'nobody'"):
        client(sentinel=stranger).get("a")
    own = client(sentinel=_Address(redis_sentinel))
    assert own.load("a", b"one")
    before = own.identity()
    redis_sentinel.primary.kill()
    assert isinstance(own.timed("get", "a").error, StorageError)
    redis_sentinel.await_fail_over()
    assert own.until_it_answers("a") == [None]
    assert own.identity() != before
    assert own.load("a", b"two")
    assert own.get("a") == [b"two"]


class _Address:
    username, password, db = None, None, 0

    def __init__(self, servers: Any) -> None:
        self.hosts = (("127.0.0.1", 1), *servers.hosts)  # one that is not there is passed over
        self.service = servers.service


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
        found = outcomes[-1].value
        assert {None} < set(found)
        assert all(value in (None, b"%d" % name) for name, value in zip(names, found, strict=True))
        leases = own.run("lease_many", [own.key(f"new{name}") for name in names], token=TOKEN, lease_ms=1000)
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
    with pytest.raises(ConnectionError, match="run id"):
        client(url=refuser.url).get("a")
    refuser.close()


def test_a_cancelled_call_leaves_no_reply_for_another(redis_server):
    """Callers are cancelled at random moments, while others read other keys over the same pool."""

    async def storm() -> int:
        own = Client(_Here(), url=redis_server.url, patient=True)
        keys = [own.key(name) for name in range(50)]
        deadline = own.runtime.deadline(60)
        for at, lease in enumerate(await own.driver.lease_many(keys, token=TOKEN, lease_ms=60_000, deadline=deadline)):
            fill = Fill(keys[at], TOKEN, b"%d" % at, 1, 1, 100, 100, lease.seeding, 60_000)
            await own.driver.fill_many([fill], deadline=deadline)
        draw, checked = random.Random(7), 0

        async def reader(at: int) -> None:
            nonlocal checked
            for _ in range(40):
                some = draw.sample(range(50), 3)
                found = await own.driver.get_many([keys[one] for one in some], deadline=deadline)
                assert found == [b"%d" % one for one in some]
                checked += 1

        async def impatient() -> None:
            for _ in range(60):
                task = asyncio.ensure_future(own.driver.get_many(draw.sample(keys, 5), deadline=deadline))
                await asyncio.sleep(draw.random() * 0.002)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

        await asyncio.gather(*(reader(at) for at in range(8)), *(impatient() for _ in range(8)))
        await own.driver.close(deadline)
        return checked

    assert asyncio.run(storm()) == 320


class _Here:
    """The face of a test that has a loop of its own."""

    name = "async"

    def runtime(self) -> Any:
        return AsyncioRuntime()


def test_a_reply_that_came_too_late_reaches_nobody(link, client):
    own = client(url=link.url)
    own.load("a", b"one")
    own.load("b", b"two")
    link.late(SOFT_TIMEOUT_S * 1.5)
    assert isinstance(own.timed("get", "a").error, TimeoutError)
    link.heals()
    for _ in range(20):
        assert own.get("b") == [b"two"]


def test_a_reply_that_came_while_the_loop_was_held_up_counts(redis_server):
    async def scene() -> list[bytes | None]:
        own = Client(_Here(), url=redis_server.url)
        key = own.key("a")
        await own.driver.open(own.runtime.deadline(PATIENT_S))
        held = asyncio.ensure_future(own.driver.get_many([key], deadline=own.runtime.deadline(PATIENT_S)))
        await asyncio.sleep(0)
        time.sleep(SOFT_TIMEOUT_S * 2)  # noqa: ASYNC251  (somebody else's slow callback)
        found = await held
        await own.driver.close(own.runtime.deadline(1))
        return found

    assert asyncio.run(scene()) == [None]


def test_a_black_hole_ends_with_the_budget(link, client):
    own = client(url=link.url)
    own.load("a", b"one")
    link.black_hole()
    outcome = own.timed("get", "a")
    assert isinstance(outcome.error, TimeoutError)
    assert outcome.took_s < SOFT_TIMEOUT_S * 1.1 + NOISE_S
    link.heals()
    assert own.get("a") == [b"one"]


def test_a_connection_that_breaks_in_a_reply(link, client):
    own = client(url=link.url, patient=True)
    own.load("a", b"one" * 100)
    link.breaks_in_a_reply()
    assert isinstance(own.timed("get", "a").error, ConnectionError)
    link.heals()
    assert own.get("a") == [b"one" * 100]


def test_one_byte_at_a_time_is_read_whole_or_given_up_in_time(link, client):
    patient, own = client(url=link.url, patient=True), client(url=link.url)
    patient.load("a", b"one")
    own.load("long", bytes(1000))
    link.slices(0.0001)
    assert patient.get("a") == [b"one"]
    link.slices(0.005)
    outcome = own.timed("get", "long")
    assert isinstance(outcome.error, TimeoutError)
    assert outcome.took_s < SOFT_TIMEOUT_S * 1.1 + NOISE_S


def test_connections_are_reused_and_bounded(link, client):
    own = client(url=link.url, patient=True)
    for name in range(30):
        own.get(name)
    assert link.connections == 1


def test_more_threads_than_connections_share_them(link):
    """Each sees its own replies only."""
    own = Client(BlockingFace(), url=link.url, patient=True)
    for name in range(40):
        own.load(name, b"%d" % name)

    def read(name: int) -> bool:
        return all(own.get(name, 39 - name) == [b"%d" % name, b"%d" % (39 - name)] for _ in range(50))

    with ThreadPoolExecutor(40) as threads:
        assert all(threads.map(read, range(40)))
    assert link.connections <= LIMIT
    own.close()


def test_who_waits_for_a_connection_gives_up_in_time(redis_server):
    async def crowd() -> list[Any]:
        own = Client(_Here(), url=redis_server.url)
        await own.driver.get_many(["a{1}"], deadline=own.runtime.deadline(5))
        redis_server.pause()
        calls = [own.driver.get_many(["a{1}"], deadline=own.runtime.deadline(5)) for _ in range(100)]
        began = time.monotonic()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert time.monotonic() - began < SOFT_TIMEOUT_S * 1.1 + 2 * NOISE_S
        redis_server.resume()
        await own.driver.close(own.runtime.deadline(1))
        return outcomes

    outcomes = asyncio.run(crowd())
    assert all(isinstance(outcome, TimeoutError | ConnectionError) for outcome in outcomes)
    assert any(isinstance(outcome, PoolTimeoutError) for outcome in outcomes)


def test_a_forked_child_uses_connections_of_its_own(redis_server):
    own = Client(BlockingFace(), url=redis_server.url)
    own.load("a", b"one")
    child = os.fork()
    if child == 0:
        os._exit(0 if own.get("a") == [b"one"] else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert own.get("a") == [b"one"]
    own.close()


def test_a_password_is_used_and_never_shown(client):
    server = Redis("--requirepass", "right-secret")
    server.ready = lambda: True  # type: ignore[method-assign]  # its own client has no password
    server.start()
    try:
        good = f"redis://:right-secret@127.0.0.1:{server.port}"
        assert client(url=good).until_it_answers("a") == [None]
        for url in (good.replace("right", "wrong"), f"redis://127.0.0.1:{server.port}"):
            with pytest.raises(ConfigError) as caught:
                client(url=url).get("a")
            assert "secret" not in str(caught.value)
        with pytest.raises(ConfigError, match="database number"):
            client(url=f"{good}/99").get("a")
    finally:
        server.close()


def test_nobody_listens(client):
    own = client(url="redis://127.0.0.1:1")
    outcome = own.timed("get", "a")
    assert isinstance(outcome.error, ConnectionError)
    assert outcome.took_s < SOFT_TIMEOUT_S + NOISE_S


@pytest.mark.requirement("S0-13")
def test_a_client_that_cannot_be_made_says_so(client):
    for url, kind in (("redis://127.0.0.1:1", ConnectionError), ("redis://127.0.0.1:1/0?colour=red", ConfigError)):
        own = client(url=url)
        with pytest.raises(kind, match="failed to create redis client"):
            own.face.run(own.driver.open, own.runtime.deadline(PATIENT_S))
    with pytest.raises(ConfigError, match="failed to create redis client"):
        client()


def test_tls_is_verified(client, tmp_path):
    key, certificate, port = tmp_path / "key.pem", tmp_path / "certificate.pem", free_port()
    subject = ("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2")
    command = (
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        key,
        "-out",
        certificate,
        *subject,
    )
    subprocess.run(command, check=True, capture_output=True)
    files = ("--tls-cert-file", str(certificate), "--tls-key-file", str(key), "--tls-ca-cert-file", str(certificate))
    server = Redis("--tls-port", str(port), "--tls-auth-clients", "no", *files)
    server.start()
    try:
        url = f"rediss://127.0.0.1:{port}"
        own = client(url=f"{url}?ssl_ca_certs={certificate}", patient=True)
        assert own.load("a", b"one")
        with redis.Redis(port=server.port) as plain:
            connections = plain.info("stats")["total_connections_received"]
            assert all(own.get("a") == [b"one"] for _ in range(20))
            assert plain.info("stats")["total_connections_received"] == connections
        with pytest.raises(ConfigError, match="TLS options"):
            client(url=f"{url}?ssl_ca_certs=/nowhere")
        with pytest.raises(ConnectionError, match="certificate"):
            client(url=url, patient=True).get("a")
    finally:
        server.close()


def test_a_unix_socket(client, tmp_path):
    path = tmp_path / "s"
    server = Redis("--unixsocket", str(path))
    server.start()
    try:
        own = client(url=f"unix://{path}", patient=True)
        assert own.load("a", b"one")
        assert own.get("a") == [b"one"]
    finally:
        server.close()
