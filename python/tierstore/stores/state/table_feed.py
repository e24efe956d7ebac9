"""Changes of state, read from the table that each write tells them in.

Who watches asks every POLL_S, and at once when this process has written. A poll takes what was committed since the last one: on
PostgreSQL what that one's snapshot did not see, on SQLite what stands behind its last row. So a change whose transaction ends late is not
passed over, and the changes of one key come in order: the row of the key is locked from its change to the commit.
"""

from __future__ import annotations

from typing import Final

from tierstore.backends import Gap, Row
from tierstore.backends.pairs import Changed, Feed
from tierstore.errors import ClosedError, TimeoutError
from tierstore.plan.state import bounds
from tierstore.runtime import Deadline
from tierstore.runtime.replies import Reply
from tierstore.tiers.engine import Engine

POLL_S: Final = 0.2
POLL_BUDGET_S: Final = 2.0
AT_ONCE: Final = 5_000


class TableFeeds:
    """Those who watch in this process."""

    def __init__(self, engine: Engine, prefix: str) -> None:
        self._engine = engine
        self._prefix = prefix
        self._open: dict[TableFeed, None] = {}

    async def open(self, prefix: str, deadline: Deadline) -> Feed:
        feed = TableFeed(self._engine, self._prefix, prefix, self)
        await feed.begin(deadline)
        self._open[feed] = None
        return feed

    def left(self, feed: TableFeed) -> None:
        self._open.pop(feed, None)

    def wake(self) -> None:
        """Something was written."""
        for feed in list(self._open):
            feed.wake()


class TableFeed:
    """`Feed` over `state_changes`. `hidden`: what stands before every key and is not told."""

    def __init__(self, engine: Engine, hidden: str, prefix: str, feeds: TableFeeds) -> None:
        self._engine = engine
        self._runtime = engine.runtime
        self._feeds = feeds
        self._hidden = len(hidden)
        self._low, self._high = bounds(hidden + prefix)
        self._since = self._server = self._identity = ""
        self._woken = self._closed = False
        self._reply: Reply | None = None

    async def begin(self, deadline: Deadline) -> None:
        """Changes are told from here on."""
        self._identity = await self._engine.records.identity(deadline)
        ((self._since, self._server),) = await self._fetch("state.moment", {}, deadline)

    async def receive(self, *, wait_s: float) -> list[Changed | Gap]:
        ends_at = self._runtime.monotonic() + wait_s
        while not self._closed:
            self._woken = False
            found = await self._poll(self._runtime.deadline(POLL_BUDGET_S))
            left = ends_at - self._runtime.monotonic()
            if found or left <= 0:
                return found
            await self._pause(min(left, POLL_S))
        raise ClosedError("the watch was closed", tier="database")

    async def _poll(self, deadline: Deadline) -> list[Changed | Gap]:
        found: list[Changed | Gap] = []
        upto, after = "", 0
        while True:
            asked = {"since": self._since, "upto": upto, "after": after, "limit": AT_ONCE}
            rows = await self._fetch("state.changes", asked | {"low": self._low, "high": self._high}, deadline)
            upto, lost, server = rows[0][:3]
            if server != self._server and (gap := await self._another(server, deadline)) is not None:
                return [gap]
            if lost and not after:
                found.append(Gap("changes were removed before they were read: who watches was away for too long"))
            changes = [self._change(row) for row in rows if row[3] is not None]
            found += changes
            if len(changes) < AT_ONCE:
                self._since = upto
                return found
            after = rows[-1][3]

    async def _another(self, server: str, deadline: Deadline) -> Gap | None:
        """Another server answers. A gap where it is not the same database: one that was promoted may lack what the old one had."""
        identity = await self._engine.records.identity(deadline)
        was, self._identity = self._identity, identity
        self._server = server
        if identity == was:
            return None
        ((self._since, self._server),) = await self._fetch("state.moment", {}, deadline)
        return Gap(f"the database is another one: {identity}, before {was}")

    async def _fetch(self, query: str, params: dict[str, object], deadline: Deadline) -> list[Row]:
        return await self._engine.records.fetch(query, params, deadline=deadline, primary=True)

    async def _pause(self, seconds: float) -> None:
        reply = self._reply = self._runtime.reply(self._runtime.deadline(seconds))
        try:
            if not self._woken:  # between the poll and here
                await reply
        except TimeoutError:
            pass
        finally:
            self._reply = None

    def wake(self) -> None:
        """There may be something to read."""
        self._woken = True
        reply = self._reply
        if reply is not None:
            reply.resolve(None)

    def _change(self, row: Row) -> Changed:
        number, key, kind, etag, expires_ms = row[3:]
        return Changed(key[self._hidden :], kind, etag, expires_ms, str(number))

    async def close(self) -> None:
        self._closed = True
        self._feeds.left(self)
        self.wake()
