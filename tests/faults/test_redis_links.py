"""The link to Redis breaks, stalls or is cut short: no reply reaches another call, and connections are bounded and reused."""

from __future__ import annotations

import asyncio
import os
import random
import re
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from tests.conftest import BlockingFace
from tests.faults.redis_tools import NOISE_S, PATIENT_S, TOKEN, Client, certificate
from tests.servers.process import free_port
from tests.servers.redis import Redis, options
from tierstore.backends import Fill
from tierstore.backends.redis.key_value import SOFT_TIMEOUT_S
from tierstore.backends.redis.node import LIMIT
from tierstore.backends.redis.wire import open_asyncio, open_blocking, settings_of
from tierstore.errors import ConfigError, ConnectionError, PoolTimeoutError, TimeoutError
from tierstore.runtime import AsyncioRuntime, Deadline

Make = Callable[..., Client]
LATE_S = 10 * SOFT_TIMEOUT_S


@pytest.mark.parametrize("opened", [open_asyncio, open_blocking])
def test_a_server_that_cannot_be_reached_is_named(opened, tmp_path):
    def attempt(url: str) -> None:
        asyncio.run(opened(settings_of(url), Deadline(time.monotonic, time.monotonic() + 5)))

    port = free_port()
    with pytest.raises(ConnectionError, match=rf"127\.0\.0\.1:{port}"):
        attempt(f"redis://127.0.0.1:{port}")
    with pytest.raises(ConnectionError, match=re.escape(str(tmp_path / "none"))):
        attempt(f"unix://{tmp_path / 'none'}")


@pytest.mark.parametrize("opened", [open_asyncio, open_blocking])
@pytest.mark.parametrize("wanted", ["yes", "no"])
def test_a_link_is_kept_alive_where_the_address_says_so(opened, wanted, redis_server):
    async def main() -> int:
        settings = settings_of(f"{redis_server.url}?socket_keepalive={wanted}")
        wire = await opened(settings, Deadline(time.monotonic, time.monotonic() + 5))
        own = wire._socket if opened is open_blocking else wire._transport.get_extra_info("socket")
        kept = own.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        wire.close()
        return kept

    assert bool(asyncio.run(main())) == (wanted == "yes")


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
    link.late(LATE_S)
    arrives = time.monotonic() + LATE_S
    assert isinstance(own.timed("get", "a").error, TimeoutError)
    link.heals()
    with own.patiently():
        while time.monotonic() < arrives + LATE_S:
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
    with own.patiently():
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
        assert time.monotonic() - began < SOFT_TIMEOUT_S * 1.1 + NOISE_S
        redis_server.resume()
        await own.driver.close(own.runtime.deadline(1))
        return outcomes

    outcomes = asyncio.run(crowd())
    assert all(isinstance(outcome, TimeoutError | ConnectionError) for outcome in outcomes)
    assert any(isinstance(outcome, PoolTimeoutError) for outcome in outcomes)


def test_a_forked_child_uses_connections_of_its_own(redis_server):
    own = Client(BlockingFace(), url=redis_server.url, patient=True)
    own.load("a", b"one")
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = int(own.get("a") != [b"one"])
        finally:
            os._exit(code)
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
                client(url=url, patient=True).get("a")
            assert "secret" not in str(caught.value)
        with pytest.raises(ConfigError, match="database number"):
            client(url=f"{good}/99", patient=True).get("a")
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
    port, (trusted, settings) = free_port(), certificate(tmp_path)
    server = Redis("--tls-port", str(port), *options(settings))
    server.start()
    try:
        url = f"rediss://127.0.0.1:{port}"
        own = client(url=f"{url}?ssl_ca_certs={trusted}", patient=True)
        assert own.load("a", b"one")
        with redis.Redis(port=server.port) as plain:
            connections = plain.info("stats")["total_connections_received"]
            assert all(own.get("a") == [b"one"] for _ in range(20))
            assert plain.info("stats")["total_connections_received"] == connections
        with pytest.raises(ConfigError, match="TLS options"):
            client(url=f"{url}?ssl_ca_certs=/nowhere")
        with pytest.raises(ConfigError, match="certificate"):
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
