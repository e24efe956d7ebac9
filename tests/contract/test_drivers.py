"""What is used of the drivers beyond what their documentation promises: a release that moves any of it is named."""

from __future__ import annotations

import inspect
import socket
from typing import Any

import hiredis
import psycopg
import psycopg_pool
import pytest
import redis.asyncio.connection as asyncio_connection
import redis.connection as blocking_connection
from psycopg import waiting


def said(driver: Any, what: str) -> str:
    version = getattr(driver, "__version__", "?")
    return f"{driver.__name__} {version} has changed {what}; tierstore's backend relies on it"


@pytest.mark.parametrize("module", [asyncio_connection, blocking_connection], ids=["asyncio", "blocking"])
def test_a_connection_of_redis_py_tells_its_options_without_connecting(module):
    import redis

    settings = blocking_connection.parse_url("rediss://user:word@host.example:7000/3?socket_keepalive=yes")
    assert settings.pop("connection_class") is blocking_connection.SSLConnection, said(redis, "parse_url")
    assert {"host", "port", "db", "username", "password", "socket_keepalive"} == set(settings), said(redis, "parse_url")
    made = module.Connection(**settings, protocol=2)
    found = {name: getattr(made, name, None) for name in ("host", "port", "socket_keepalive")}
    assert found == {"host": "host.example", "port": 7000, "socket_keepalive": True}, said(redis, "Connection")
    assert hasattr(made.socket_keepalive_options, "items"), said(redis, "Connection.socket_keepalive_options")
    unix = module.UnixDomainSocketConnection(path="/a/b", protocol=2)
    assert (unix.path, hasattr(made, "path")) == ("/a/b", False), said(redis, "UnixDomainSocketConnection.path")
    with pytest.raises(TypeError):
        module.Connection(no_such_option=1)


def test_the_tls_context_of_redis_py_is_made_once():
    import redis

    context = asyncio_connection.SSLConnection(ssl_cert_reqs="none").ssl_context
    assert context.get() is context.get(), said(redis, "SSLConnection.ssl_context.get")
    assert hasattr(context.get(), "wrap_socket")


def test_a_reader_of_hiredis_takes_part_of_a_buffer():
    reader = hiredis.Reader()
    reader.feed(bytearray(b"??+OK\r\n+"), 2, 6)
    assert reader.gets() == b"OK", said(hiredis, "Reader.feed(buffer, start, count)")
    reader.feed(b"+")
    assert reader.has_data(), said(hiredis, "Reader.has_data")


@pytest.mark.parametrize("kind", [psycopg.Connection, psycopg.AsyncConnection])
def test_psycopg_waits_in_a_method_that_can_be_replaced(kind):
    assert list(inspect.signature(kind.wait).parameters) == ["self", "gen", "interval", "timeout"], said(
        psycopg, "wait"
    )
    assert inspect.iscoroutinefunction(kind.wait) == (kind is psycopg.AsyncConnection), said(psycopg, "wait")


def test_a_statement_outlives_a_wait_that_was_too_short():
    """The deadline is not the statement's end: what it was in the middle of goes on elsewhere."""
    one, other = socket.socketpair()

    def statement():
        while not (yield waiting.Wait.R):
            pass
        return "done"

    with one, other:
        waits = statement()
        with pytest.raises(psycopg.OperationalError):
            waiting.wait(waits, one.fileno(), 0.01, 0.02)
        assert inspect.getgeneratorstate(waits) == inspect.GEN_SUSPENDED, said(psycopg, "waiting.wait")
        other.send(b"x")
        assert waiting.wait(waits, one.fileno(), 0.01, 5.0) == "done", said(psycopg, "waiting.wait")
        assert inspect.getgeneratorstate(waits) == inspect.GEN_CLOSED


def test_a_pool_makes_its_connections_by_the_class_it_is_given():
    named = inspect.signature(psycopg_pool.ConnectionPool).parameters
    wanted = {"connection_class", "kwargs", "min_size", "max_size", "timeout", "max_idle", "max_lifetime"}
    assert wanted | {"reconnect_timeout", "open", "name", "conninfo"} <= set(named), said(
        psycopg_pool, "ConnectionPool"
    )
