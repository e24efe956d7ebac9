"""Links that can be cut one way, slowed down, and led to another server, all in one thread."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

CHUNK = 65_536
LONG_S = 10.0


class Link:
    """A port that leads to a server's. Its state holds for every connection, those to come included."""

    def __init__(self, links: Links, port: int) -> None:
        self._links = links
        self._target = port
        self._writers: set[asyncio.StreamWriter] = set()
        self._open = {"requests": asyncio.Event(), "answers": asyncio.Event()}
        self.port = 0
        self.late_s = 0.0
        """How much later answers come."""
        self.late_news_s = 0.0
        """How much later comes what a subscriber is sent."""
        for event in self._open.values():
            event.set()

    async def listen(self) -> None:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self._links.servers.append(server)
        self.port = server.sockets[0].getsockname()[1]

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._links.keep(asyncio.ensure_future(self._serve(reader, writer)))

    def cut(self, way: str) -> None:
        """Nothing of "requests" or "answers" arrives until it is healed, and then all of it."""
        self._links.call(self._open[way].clear)

    def heal(self) -> None:
        self.late_s = self.late_news_s = 0.0
        for event in self._open.values():
            self._links.call(event.set)

    def lead_to(self, port: int) -> None:
        """Break every connection; new ones go to that port."""
        self._target = port
        self._links.call(self._break)

    def _break(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            answers, requests = await asyncio.open_connection("127.0.0.1", self._target)
            self._writers |= {writer, requests}
            state: dict[str, bool] = {}
            try:
                async with asyncio.TaskGroup() as ways:
                    ways.create_task(self._carry(reader, requests, "requests", state))
                    ways.create_task(self._carry(answers, writer, "answers", state))
            except* OSError:
                pass
            finally:
                self._writers -= {writer, requests}
                requests.transport.abort()
        writer.transport.abort()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: str, state: dict[str, bool]
    ) -> None:
        """In order, each piece after its time."""
        pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def take() -> None:
            with contextlib.suppress(OSError):
                while piece := await reader.read(CHUNK):
                    if way == "requests" and b"SUBSCRIBE" in piece:
                        state["subscribed"] = True
                    pieces.put_nowait((time.monotonic() + self._delay(way, state), piece))
            pieces.put_nowait((0.0, b""))

        taking = asyncio.ensure_future(take())
        try:
            while (following := await pieces.get())[1]:
                await self._open[way].wait()
                if (left := following[0] - time.monotonic()) > 0:
                    await asyncio.sleep(left)
                writer.write(following[1])
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
        finally:
            taking.cancel()
            await asyncio.gather(taking, return_exceptions=True)

    def _delay(self, way: str, state: dict[str, bool]) -> float:
        if way == "requests":
            return 0.0
        return max(self.late_s, self.late_news_s if state.get("subscribed") else 0.0)


class Links:
    """The thread that carries them. `to(port)` makes one."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._tasks: set[asyncio.Future[None]] = set()
        self.servers: list[asyncio.Server] = []
        self._thread.start()

    def keep(self, task: asyncio.Future[None]) -> None:
        """Until it ends, or all do."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def call(self, function: Callable[[], Any]) -> None:
        self._loop.call_soon_threadsafe(function)

    def to(self, port: int) -> Link:
        link = Link(self, port)
        asyncio.run_coroutine_threadsafe(link.listen(), self._loop).result(LONG_S)
        return link

    def close(self) -> None:
        """Break what is left."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(LONG_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(LONG_S)
        self._loop.close()

    async def _end(self) -> None:
        for server in self.servers:
            server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
