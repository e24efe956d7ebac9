"""Changes on one server: a stream that the scripts write while somebody watches, read from where the reader stands.

A mark with an expiry says that somebody watches. Scripts look for it in the same step in which they change a pair, so that no change is
between: what is changed after the mark was set is in the stream. Watchers prolong the mark; one that finds another mark than its own
first, or not the entry that it read last, or another server, has missed something. Otherwise nothing was, whatever the connection did.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from tierstore.backends.redis.errors import typed
from tierstore.backends.redis.link import Link
from tierstore.backends.redis.state.scripts import ENDS, WATCH
from tierstore.backends.redis.state.watching import UNREADABLE, EndNow, Ground, Lapse, WatchingFeed
from tierstore.backends.redis.wire import ReplyError, pack
from tierstore.errors import ConnectionError
from tierstore.runtime import Deadline

MARK_S, STREAM_S, PROLONG_S = 120, 300, 20.0
"""How long mark and stream last without a watcher, and how often a watcher prolongs them."""
ENTRIES_AT_ONCE, DUE_AT_ONCE = 1_000, 1_000
BLOCK_MS = 1_000
SILENT_S = 2.0
"""A server that answers so long after its time is gone. A dead peer sends no reset."""
MARK_BYTES = 8
FIELD = b"c"
"""Of an entry of the stream: what changed. Empty in the first one, which is only a place to read from."""


class StreamFeed(WatchingFeed):
    """A `Feed` over one link, on which a round of commands is always under way: it ends with a blocking read of the stream."""

    def __init__(self, ground: Ground, prefix: str) -> None:
        super().__init__(ground, prefix)
        self._link: Link | None = None
        self._known: tuple[str, bytes] | None = None
        self._position = b""
        self._handlers: deque[Callable[[Any], None]] = deque()
        self._entries: list[Any] = []
        self._gone: list[tuple[EndNow, int | None]] = []
        self._silent_at = self._prolong_at = 0.0

    async def _connect(self, deadline: Deadline) -> bool:
        node = await self._ground.route.node("", deadline)
        self._link = link = await node.open_own(deadline)
        (reply,) = await link.exchange(self._prolonging(link), 1, deadline)
        if isinstance(reply, ReplyError):
            raise typed(reply)
        mark, position, now_ms = reply
        known = link.identity, mark
        self._handlers.clear()
        self._watched.ends.server_says(now_ms)
        self._prolong_at = self._runtime.monotonic() + PROLONG_S
        if known == self._known and not self._has_lapsed:
            self._watched.ends.again()
            return True
        self._known, self._position, self._gone = None, position, []
        await self._watched.scan(deadline)
        self._known = known
        return False

    def _prolonging(self, link: Link) -> bytes:
        names = self._ground.names
        mark = self._runtime.random_bytes(MARK_BYTES)
        call = WATCH((names.stream, names.mark), mark, str(MARK_S * 1000), str(STREAM_S * 1000))
        return call.whole(link.epoch)

    async def _listen(self, until: Deadline) -> None:
        assert self._link is not None  # noqa: S101  (it is connected)
        if not self._handlers:
            await self._begin_round(self._link)
        now = self._runtime.monotonic()
        replies = await self._link.pushed(until.within(max(0.0, self._silent_at - now)))
        for reply in replies:
            if isinstance(reply, ReplyError):
                raise typed(reply)
            self._handlers.popleft()(reply)
        if not replies and self._runtime.monotonic() >= self._silent_at:
            raise ConnectionError("the connection on which changes of state come is silent", tier="state")

    async def _begin_round(self, link: Link) -> None:
        names, now = self._ground.names, self._runtime.monotonic()
        words: list[bytes] = []
        if now >= self._prolong_at:
            words.append(self._prolonging(link))
            self._handlers.append(self._prolonged)
        if due := self._watched.ends.due(DUE_AT_ONCE):
            call = ENDS((names.stream, *(f"{names.prefix}{key}" for key in due)))
            words.append(call.whole(link.epoch))
            self._handlers.append(partial(self._asked, due))
        block_ms = 0 if due else int(max(1, min(BLOCK_MS, self._watched.ends.wait_ms())))
        waits = ("BLOCK", str(block_ms)) if block_ms else ()
        words.append(pack(("XREAD", "COUNT", str(ENTRIES_AT_ONCE), *waits, "STREAMS", names.stream, self._position)))
        words.append(pack(("XRANGE", names.stream, self._position, self._position)))
        self._handlers += (self._read, self._anchored)
        self._silent_at = now + block_ms / 1000 + SILENT_S
        await link.send(b"".join(words), self._runtime.deadline(SILENT_S))

    def _prolonged(self, reply: Any) -> None:
        mark, _, now_ms = reply
        self._watched.ends.server_says(now_ms)
        self._prolong_at = self._runtime.monotonic() + PROLONG_S
        if self._known is None or mark != self._known[1]:
            raise Lapse("nobody watched for a while", tier="state")

    def _asked(self, due: list[str], reply: Any) -> None:
        ends = {key: self._watched.ends.end_of(key) for key in due}
        gone = self._watched.note(self._watched.read_ends(due, reply))
        self._gone += [(one, ends[one.key]) for one in gone]

    def _read(self, reply: Any) -> None:
        self._entries = reply[0][1] if reply else []

    def _anchored(self, reply: Any) -> None:
        """The entry that was read last is still there, so that none behind it is missing."""
        if not reply:
            raise Lapse("the stream of changes was cut off or removed before it was read", tier="state")
        for position, fields in self._entries:
            if fields[:1] != [FIELD] or len(fields) != 2:
                raise Lapse(UNREADABLE, tier="state")
            if fields[1]:
                self._watched.hear(fields[1], position.decode())
            self._position = position
        if len(self._entries) < ENTRIES_AT_ONCE:  # all that was told before the keys were asked for
            for one, ends_ms in self._gone:
                self._watched.ended(one.key, ends_ms, self._position.decode())
            self._gone = []

    def _drop(self) -> None:
        if self._link is not None:
            self._link.close()
        self._link = None
