"""The only file that knows redis-py and hiredis: how bytes go to a server and replies come back, in both faces.

redis-py reads the address and its options; hiredis packs and parses. The socket and the loop between them are our own, because a deadline
must hold for a whole connect or exchange, not for each read: a link that brings one byte a second would otherwise never time out.
Whoever gets an exception from `exchange` must close the wire: what is still to come belongs to the call that failed.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, cast

import hiredis
import redis.asyncio.connection as asyncio_connection
import redis.connection as blocking_connection
from redis.exceptions import RedisError

from tierstore.backends.tls import is_tls_wrong
from tierstore.errors import ConfigError, ConnectionError, StorageError, TimeoutError, raise_alone
from tierstore.runtime import Deadline

pack: Callable[[tuple[str | bytes, ...]], bytes] = hiredis.pack_command  # type: ignore[assignment]  # its stub says one word
"""Of texts and bytes only: hiredis 3.5.0 crashes where Ctrl-C comes while it writes out a number."""
READ_BYTES = 1 << 18
_NOT_YET = object()
_builtin_timeout = asyncio.TimeoutError
LOST = "the Redis connection broke: {}"
UNREACHABLE = "cannot connect to Redis at {}: {}"
SLOW = "Redis did not answer in time"


class ReplyError(Exception):
    """An error that the server answered, as a value among the replies. `code` is its first word."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.code = text.partition(" ")[0]


class Wire(Protocol):
    async def exchange(self, payload: bytes, count: int, deadline: Deadline) -> list[Any]:
        """Send, and read `count` replies. ConnectionError, TimeoutError."""
        ...

    async def pushed(self, deadline: Deadline) -> list[Any]:
        """What the server sent unasked until now, or the first of it by the deadline; empty if nothing came."""
        ...

    def idle(self) -> bool:
        """Whether it is open with nothing to read: else it lost its place, or the server closed it."""
        ...

    def close(self) -> None: ...


def settings_of(url: str) -> dict[str, Any]:
    """What redis-py reads from a URL. ConfigError, without the password."""
    for other, ours in (("valkeys://", "rediss://"), ("valkey://", "redis://")):
        if url.startswith(other):
            url = ours + url.removeprefix(other)
    try:
        settings: dict[str, Any] = blocking_connection.parse_url(url)  # type: ignore[no-untyped-call]
    except ValueError as error:
        raise_alone(ConfigError(f"failed to create redis client: {error}"))
    class_name = settings.pop("connection_class", blocking_connection.Connection).__name__
    return settings | {"class_name": class_name} if class_name != "SSLConnection" else with_tls(settings)


def with_tls(settings: dict[str, Any]) -> dict[str, Any]:
    """The options of TLS as one context, made once: redis-py makes one a connection, which takes half of the soft budget. ConfigError."""
    options = {name: settings.pop(name) for name in list(settings) if name.startswith("ssl_")}
    try:
        tls = asyncio_connection.SSLConnection(**options).ssl_context
        tls.get()
    except (TypeError, ValueError, OSError, RedisError) as error:
        raise_alone(ConfigError(f"failed to create redis client: the address of Redis has wrong TLS options: {error}"))
    return settings | {"class_name": "SSLConnection", "tls": tls}


def _target(module: Any, settings: Mapping[str, Any]) -> Any:
    """A connection of redis-py that is never connected: its options, checked and completed."""
    options = {name: value for name, value in settings.items() if name not in ("class_name", "tls")}
    class_name = "Connection" if settings.get("tls") else settings.get("class_name", "Connection")
    try:
        return getattr(module, class_name)(**options, protocol=2)
    except TypeError as error:
        raise_alone(ConfigError(f"the address of Redis has an option that redis-py does not know: {error}"))


def _address(target: Any) -> str:
    return target.path if hasattr(target, "path") else f"{target.host}:{target.port}"


def _not_connected(target: Any, error: Exception) -> StorageError:
    error_class = ConfigError if is_tls_wrong(error) else ConnectionError
    return error_class(UNREACHABLE.format(_address(target), error), tier="l2")


def _keep_alive(connected: Any, target: Any) -> None:
    if getattr(target, "socket_keepalive", False):
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in target.socket_keepalive_options.items():
            connected.setsockopt(socket.IPPROTO_TCP, option, value)


def _reader() -> hiredis.Reader:
    return hiredis.Reader(protocolError=ConnectionError, replyError=ReplyError, notEnoughData=_NOT_YET)


def _replies(reader: hiredis.Reader, replies: list[Any], count: int) -> bool:
    """Take up to `count` replies; whether they are all there."""
    while len(replies) < count:
        if (reply := reader.gets()) is _NOT_YET:
            return False
        replies.append(reply)
    return True


def _available(reader: hiredis.Reader) -> list[Any]:
    replies: list[Any] = []
    while (reply := reader.gets()) is not _NOT_YET:
        replies.append(reply)
    return replies


async def open_asyncio(settings: Mapping[str, Any], deadline: Deadline) -> Wire:
    target, tls = _target(asyncio_connection, settings), settings.get("tls")
    loop, wire = asyncio.get_running_loop(), AsyncioWire()
    try:
        async with asyncio.timeout(deadline.remaining()):
            if hasattr(target, "path"):
                transport, _ = await loop.create_unix_connection(lambda: wire, target.path)
            else:
                context = tls.get() if tls else None
                transport, _ = await loop.create_connection(lambda: wire, target.host, target.port, ssl=context)
        _keep_alive(transport.get_extra_info("socket"), target)
    except BaseException as error:  # cancelled too, when the connection was there already
        wire.close()
        if isinstance(error, _builtin_timeout):
            raise_alone(TimeoutError(SLOW))
        if isinstance(error, OSError):
            raise_alone(_not_connected(target, error))
        raise
    return wire


class AsyncioWire(asyncio.BufferedProtocol):
    """Bytes go from the socket into one buffer and from there to hiredis, without a stream between."""

    _transport: asyncio.Transport
    """There from when it is connected."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._reader = _reader()
        self._buffer = memoryview(bytearray(READ_BYTES))
        self._replies: list[Any] = []
        self._wanted = 1
        self._waiter: asyncio.Future[None] | None = None
        self._lost: BaseException | None = None

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        try:
            self._reader.feed(self._buffer, 0, nbytes)  # type: ignore[arg-type]  # any buffer will do
            self._replies += _available(self._reader)
        except ConnectionError as error:  # what hiredis raises for bytes that are no reply
            self._end(error)
            self._transport.abort()
            return
        if self._waiter is not None and len(self._replies) >= self._wanted and not self._waiter.done():
            self._waiter.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc or ConnectionResetError("closed by the server"))

    def _end(self, error: BaseException) -> None:
        self._lost = self._lost or error
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(self._lost)

    # What a link asks

    async def exchange(self, payload: bytes, count: int, deadline: Deadline) -> list[Any]:
        if self._lost is None:
            self._transport.write(payload)
        if len(self._replies) < count:
            await self._wait(count, deadline.remaining())
        replies = self._replies[:count]
        del self._replies[:count]
        return replies

    async def _wait(self, count: int, seconds: float) -> None:
        """Until so many replies are there. What came in time counts, even if something else held up the event loop meanwhile."""
        if self._lost is not None:
            raise ConnectionError(LOST.format(self._lost))
        self._wanted, self._waiter = count, self._loop.create_future()
        timer = self._loop.call_later(seconds, _expire, self._waiter)
        try:
            await self._waiter
        except _builtin_timeout:
            raise_alone(TimeoutError(SLOW))
        except OSError as error:
            raise_alone(ConnectionError(LOST.format(error)))
        finally:
            self._waiter = None
            timer.cancel()

    async def pushed(self, deadline: Deadline) -> list[Any]:
        if not self._replies:
            with contextlib.suppress(TimeoutError):
                await self._wait(1, deadline.remaining())
        replies, self._replies = self._replies, []
        return replies

    def has_pushed(self) -> bool:
        """Whether something came already, or nothing will come any more."""
        return bool(self._replies) or self._lost is not None

    def wake(self, waiter: asyncio.Future[None] | None) -> None:
        """Whom to wake with the next reply."""
        self._wanted, self._waiter = 1, waiter

    def idle(self) -> bool:
        unread = self._replies or self._reader.has_data()
        return not (unread or self._lost is not None or self._transport.is_closing())

    def close(self) -> None:
        if hasattr(self, "_transport"):
            with contextlib.suppress(RuntimeError):  # its loop is closed already
                self._transport.abort()


async def until_any(wires: Sequence[Wire], deadline: Deadline) -> None:
    """Until one of them has something for `pushed`, or broke, or the deadline comes. All of one face; nobody else waits for them."""
    if isinstance(wires[0], AsyncioWire):
        await _any_arrived(cast("Sequence[AsyncioWire]", wires), deadline)
    else:
        _any_readable(cast("Sequence[BlockingWire]", wires), deadline)


async def _any_arrived(wires: Sequence[AsyncioWire], deadline: Deadline) -> None:
    if any(wire.has_pushed() for wire in wires):
        return
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[None] = loop.create_future()
    timer = loop.call_later(deadline.remaining(), _expire, waiter)
    for wire in wires:
        wire.wake(waiter)
    try:
        await waiter
    except (_builtin_timeout, OSError):
        return  # `pushed` says what became of it
    finally:
        timer.cancel()
        for wire in wires:
            wire.wake(None)


def _any_readable(wires: Sequence[BlockingWire], deadline: Deadline) -> None:
    poll, held_back = select.poll(), False
    for wire in wires:
        held_back |= wire.register(poll)
    poll.poll(0 if held_back else deadline.remaining() * 1000)


def _expire(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_exception(_builtin_timeout())


async def open_blocking(settings: Mapping[str, Any], deadline: Deadline) -> Wire:
    target, tls = _target(blocking_connection, settings), settings.get("tls")
    try:
        connected = _connect(target, deadline)
        if tls:
            connected = tls.get().wrap_socket(connected, server_hostname=target.host)  # which closes it where it fails
    except _builtin_timeout:
        raise_alone(TimeoutError(SLOW))
    except (RedisError, OSError) as error:
        deadline.check("connecting to Redis")
        raise_alone(_not_connected(target, error))
    return BlockingWire(connected)


def _connect(target: Any, deadline: Deadline) -> socket.socket:
    """Try each address of the host, all within the deadline."""
    if hasattr(target, "path"):
        addresses: list[Any] = [(socket.AF_UNIX, socket.SOCK_STREAM, 0, "", target.path)]
    else:
        addresses = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    failure = OSError("the host has no address")
    for family, socket_type, protocol, _, address in addresses:
        tried = socket.socket(family, socket_type, protocol)
        try:
            tried.settimeout(max(0.001, deadline.remaining()))
            tried.connect(address)
            if family != socket.AF_UNIX:
                tried.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _keep_alive(tried, target)
            tried.settimeout(max(0.001, deadline.remaining()))
        except BaseException as error:
            tried.close()
            if not isinstance(error, OSError):
                raise
            failure = error
        else:
            return tried
    raise failure


class BlockingWire:
    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._reader = _reader()
        self._buffer = bytearray(READ_BYTES)
        self._poll = select.poll()
        self._poll.register(connected, select.POLLIN)

    async def exchange(self, payload: bytes, count: int, deadline: Deadline) -> list[Any]:
        replies: list[Any] = []
        try:
            if (left_s := deadline.remaining()) <= 0:
                raise _builtin_timeout
            self._socket.settimeout(left_s)
            self._socket.sendall(payload)
            while not _replies(self._reader, replies, count):
                self._feed(deadline)
        except _builtin_timeout:
            raise_alone(TimeoutError(SLOW))
        except OSError as error:
            raise_alone(ConnectionError(LOST.format(error)))
        return replies

    def _feed(self, deadline: Deadline) -> None:
        self._socket.settimeout(deadline.remaining())  # zero: what is there already was in time
        try:
            count = self._socket.recv_into(self._buffer)
        except (BlockingIOError, ssl.SSLWantReadError):
            raise_alone(_builtin_timeout())
        if count == 0:
            raise ConnectionResetError("closed by the server")
        self._reader.feed(self._buffer, 0, count)  # type: ignore[arg-type]  # any buffer will do

    async def pushed(self, deadline: Deadline) -> list[Any]:
        while not (replies := _available(self._reader)):
            try:
                self._feed(deadline)
            except _builtin_timeout:
                return []
            except OSError as error:
                raise_alone(ConnectionError(LOST.format(error)))
        return replies

    def register(self, poll: select.poll) -> bool:
        """Have it polled; whether TLS holds back what came already."""
        poll.register(self._socket, select.POLLIN)
        return isinstance(self._socket, ssl.SSLSocket) and self._socket.pending() > 0

    def idle(self) -> bool:
        return not (self._reader.has_data() or self._poll.poll(0))

    def close(self) -> None:
        self._socket.close()
