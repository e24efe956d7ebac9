"""Sentinels that ask for a password, and sentinels and servers that speak TLS."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from tests.faults.redis_tools import certificate
from tests.servers.process import free_port
from tests.servers.redis import Redis, options
from tests.servers.redis_sentinel import SERVICE, Sentinel
from tierstore.config import SentinelConfig
from tierstore.errors import ConfigError

PASSWORD = "only-for-tests"


@contextmanager
def running(*servers):
    try:
        for server in servers:
            server.start()
        yield
    finally:
        for server in servers:
            server.close()


def lines(settings):
    return [" ".join(pair) for pair in zip(settings[::2], settings[1::2], strict=True)]


def by(sentinel, **more):
    return SentinelConfig((("127.0.0.1", more.pop("port", sentinel.port)),), SERVICE, **more)


def test_a_password_of_the_sentinels(client):
    primary = Redis()
    sentinel = Sentinel(primary.port, 1, f"requirepass {PASSWORD}")
    with running(primary, sentinel):
        own = client(sentinel=by(sentinel, sentinel_password=PASSWORD), patient=True)
        assert own.load("a", b"one")
        for wrong in ({}, {"sentinel_password": "wrong"}):
            with pytest.raises(ConfigError, match="set sentinel_password") as raised:
                client(sentinel=by(sentinel, **wrong), patient=True).get("a")
            assert "wrong" not in str(raised.value).replace("WRONGPASS", "")


def test_an_account_of_the_sentinels_that_may_ask_for_the_address_only(client):
    primary = Redis()
    rules = f"user watcher on >{PASSWORD} allchannels -@all +auth +sentinel|get-master-addr-by-name"
    sentinel = Sentinel(primary.port, 1, rules)
    with running(primary, sentinel):
        named = {"sentinel_username": "watcher", "sentinel_password": PASSWORD}
        own = client(sentinel=by(sentinel, **named), patient=True)
        assert own.load("a", b"one")
        reign = own.driver.reign
        assert own.face.run(lambda: own.driver.still_reigns(reign, deadline=own.runtime.deadline(5)))


def test_sentinels_over_tls(client, tmp_path):
    trusted, settings = certificate(tmp_path)
    primary, port = Redis(), free_port()
    sentinel = Sentinel(primary.port, 1, f"tls-port {port}", *lines(settings))
    with running(primary, sentinel):
        own = client(sentinel=by(sentinel, port=port, sentinel_tls=True, tls_ca_file=trusted), patient=True)
        assert own.load("a", b"one")
        with pytest.raises(ConfigError, match="certificate"):
            client(sentinel=by(sentinel, port=port, sentinel_tls=True), patient=True).get("a")


def test_servers_over_tls_behind_sentinels_over_tls(client, tmp_path):
    trusted, settings = certificate(tmp_path)
    port, secure = free_port(), free_port()
    primary = Redis("--tls-port", str(secure), *options(settings))
    sentinel = Sentinel(secure, 1, f"tls-port {port}", "tls-replication yes", *lines(settings))
    with running(primary, sentinel):
        both = {"tls": True, "sentinel_tls": True, "tls_ca_file": trusted}
        own = client(sentinel=by(sentinel, port=port, **both), patient=True)
        assert own.load("a", b"one")
        assert own.get("a") == [b"one"]


def test_files_of_tls_without_tls_are_refused():
    with pytest.raises(ConfigError, match=r"redis\.sentinel\.tls"):
        SentinelConfig((("127.0.0.1", 1),), SERVICE, tls_ca_file="/nowhere")
