"""Changes as their reader sees them, and all keys one by one."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final, Self

from tierstore.backends import Gap
from tierstore.backends.pairs import Changed, Feed
from tierstore.errors import ConnectionError, TimeoutError
from tierstore.runtime import Runtime
from tierstore.stores.state.model import StateChange, moment

log = logging.getLogger("tierstore")
WAIT_S: Final = 5.0
FIRST_REST_S, LAST_REST_S = 0.1, 2.0
"""How long a feed that does not answer is left alone."""
PAGE_KEYS: Final = 1_000
NextPage = Callable[[str | None], Awaitable[tuple[Sequence[str], str | None]]]


class Changes:
    """The changes of a watch, in the order in which they came: `async for change in changes`.

    `idle`: seconds after which it ends if nothing came; None: never. A server that does not answer is waited for.
    """

    def __init__(self, runtime: Runtime, feed: Feed, idle_s: float | None) -> None:
        self._runtime = runtime
        self._feed = feed
        self._idle_s = idle_s
        self._waiting: deque[StateChange] = deque()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StateChange:
        if not self._waiting:
            await self._receive()
        if not self._waiting:
            raise StopAsyncIteration
        return self._waiting.popleft()

    async def _receive(self) -> None:
        """Until something came, or for `idle`."""
        clock = self._runtime.monotonic
        ends_at = float("inf") if self._idle_s is None else clock() + self._idle_s
        rest_s = FIRST_REST_S
        while not self._waiting and (left := ends_at - clock()) > 0:
            try:
                self._waiting.extend(map(_told, await self._feed.receive(wait_s=min(left, WAIT_S))))
                rest_s = FIRST_REST_S
            except (ConnectionError, TimeoutError):
                await self._runtime.sleep(min(rest_s, max(0.0, left)))
                rest_s = min(LAST_REST_S, rest_s * 2)


def _told(what: Changed | Gap) -> StateChange:
    if isinstance(what, Gap):
        log.warning("a watch of state missed changes: %s", what.reason)
        return StateChange("", "gap", None, None, "")
    return StateChange(what.key, what.kind, what.etag, moment(what.expires_ms), what.position)


@asynccontextmanager
async def watching(
    runtime: Runtime, open_feed: Callable[[], Awaitable[Feed]], idle_s: float | None
) -> AsyncIterator[Changes]:
    """From the moment on at which the block begins."""
    feed = await open_feed()
    try:
        yield Changes(runtime, feed, idle_s)
    finally:
        await feed.close()


class Keys:
    """Keys one by one, each once: `async for key in keys`. It holds nothing open between two pages, so it may be left at any time.

    `repeats`: pages may have keys of earlier ones, so that all are remembered.
    """

    def __init__(self, next_page: NextPage, *, repeats: bool) -> None:
        self._next_page = next_page
        self._repeats = repeats
        self._page: deque[str] = deque()
        self._given: set[str] = set()
        self._after: str | None = None
        self._ended = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        while not self._page:
            if self._ended:
                raise StopAsyncIteration
            keys, self._after = await self._next_page(self._after)
            self._ended = self._after is None
            self._page.extend(key for key in dict.fromkeys(keys) if key not in self._given)
            if self._repeats:
                self._given.update(self._page)
        return self._page.popleft()
