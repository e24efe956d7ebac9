"""A line to a server on which every answer is late, as to one that struggles or is far away."""

from __future__ import annotations

import asyncio
import contextlib
import math
import re
import threading
from collections.abc import Iterator

CHUNK = 65_536
START_S = 10.0


class LateLine:
    """In front of 127.0.0.1:`server_port`. Each answer arrives `late_s` after the server gave it; with infinity none does.

    `round_trips`: how often a client sent something, and had to wait for an answer before it could send more.
    """

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self.late_s = 0.0
        self.round_trips = 0
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._connections: set[asyncio.Task[None]] = set()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),), daemon=True)
        self._ended = asyncio.Event()

    def through(self, url: str) -> str:
        """The address of the same database, by this line."""
        return re.sub(r"@[^/]*/", f"@127.0.0.1:{self.port}/", url)

    def start(self) -> None:
        self._thread.start()
        assert self._listening.wait(START_S)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(START_S)
        self._loop.close()

    async def _run(self) -> None:
        listener = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = listener.sockets[0].getsockname()[1]
        self._listening.set()
        await self._ended.wait()
        listener.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        with contextlib.suppress(asyncio.CancelledError, OSError):
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self._server_port)
            connection = _Connection(self)
            both = connection.requests(reader, to_server), connection.answers(from_server, writer)
            parts = [asyncio.ensure_future(part) for part in both]
            try:
                await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for part in parts:
                    part.cancel()
                to_server.close()
        writer.close()


class _Connection:
    def __init__(self, line: LateLine) -> None:
        self._line = line
        self._is_asked = False
        self._arrived = 0.0

    async def requests(self, reader: asyncio.StreamReader, to_server: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while received := await reader.read(CHUNK):
                self._line.round_trips += not self._is_asked
                self._is_asked = True
                to_server.write(received)

    async def answers(self, from_server: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(ConnectionError):
            while received := await from_server.read(CHUNK):
                if math.isinf(self._line.late_s):
                    continue
                self._arrived = max(self._arrived, loop.time() + self._line.late_s)
                loop.call_at(self._arrived, self._arrive, writer, received)

    def _arrive(self, writer: asyncio.StreamWriter, received: bytes) -> None:
        self._is_asked = False
        if not writer.is_closing():
            writer.write(received)


@contextlib.contextmanager
def late_line(server_port: int) -> Iterator[LateLine]:
    line = LateLine(server_port)
    line.start()
    try:
        yield line
    finally:
        line.close()
