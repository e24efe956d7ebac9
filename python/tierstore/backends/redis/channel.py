"""The carrier of rule 6 over Redis: numbered messages on one pub/sub channel, and pings that the relay echoes.

    channel     messages `<stream>:<number>:<json>`
    sequence    hash: the stream's random id, the last number
    pings       list: pings that wait for the relay
    relay       the process that relays, for RELAYS_MS more

Their names are in `plan.keys`. All of them live on one node. A message's number is taken in the same script that publishes it, so that a
number that is missing, comes twice or belongs to another stream means that something was missed: `Gap`. Echoes are numbered too,
for a lost message before an echo must not look fresh. A ping is this process's own monotonic time; nobody else reads it.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from typing import Any

import orjson

from tierstore.backends import Change, Echo, Event, Gap, Invalidated
from tierstore.backends.redis.commands import PUBLISH, RELEASE, TAKE_PINGS, Command, Plain
from tierstore.backends.redis.errors import typed
from tierstore.backends.redis.link import Link
from tierstore.backends.redis.node import Node
from tierstore.backends.redis.retry import Retry
from tierstore.backends.redis.route import Route
from tierstore.backends.redis.wire import ReplyError, pack
from tierstore.errors import ConfigError, ConnectionError, QueryError, StorageError, TimeoutError, raise_alone
from tierstore.plan.keys import ChannelNames, Namespace, channel_names
from tierstore.runtime import Deadline, Runtime

log = logging.getLogger("tierstore")
FRESH_S = 2.0
"""H of the coherence protocol: how long an echo proves freshness."""
HARD_TIMEOUT_S = 0.25
PINGS_KEPT = 1024
PINGS_LAST_S = 30
PINGS_A_TURN = 256
RELAYS_MS = 1000
"""After a relay that was killed another process takes its place; two at once do no harm."""
ID_BYTES = 8


class RedisChannel:
    """`Channel`, and the relay's side of it: `take_pings`, then the outbox is delivered, then `echo`.

    The route is the key/value driver's too, which closes it: so a server that was demoted is noticed by both at once.
    `receive` belongs to one caller at a time; the other methods may run beside it.
    """

    name = "redis"

    def __init__(
        self,
        runtime: Runtime,
        route: Route,
        namespace: Namespace,
        *,
        fresh_s: float = FRESH_S,
        hard_timeout_s: float = HARD_TIMEOUT_S,
    ) -> None:
        self._runtime = runtime
        self._route = route
        self._hard_s = hard_timeout_s
        self._names = channel_names(namespace)
        self._process = runtime.random_bytes(ID_BYTES).hex()
        self._ping_every_s = fresh_s / 4
        self._silent_s = fresh_s / 2
        self._next_ping = 0.0
        self._echoed_at = runtime.monotonic()
        self._relays = False
        self._subscription: _Subscription | None = None
        self._retry = Retry()

    def move(self, namespace: Namespace) -> None:
        """Go over to the channel of another namespace: the database is another one now (rule 7). The next `receive` subscribes there.

        Any thread may call it: one that listens meanwhile leaves its link itself.
        """
        self._names = channel_names(namespace)

    async def open(self, deadline: Deadline) -> None:
        try:
            await self._subscribe(deadline)
        except ConfigError:
            raise
        except StorageError as error:
            raise_alone(ConnectionError(f"the Redis channel cannot be opened: {error}", tier="l2"))

    async def publish(self, changes: Sequence[Change], *, deadline: Deadline) -> None:
        if changes:
            await self._send({"changes": [tuple(change) for change in changes]}, deadline)

    async def _send(self, message: dict[str, Any], deadline: Deadline) -> None:
        stream = self._runtime.random_bytes(ID_BYTES).hex()
        names = self._names
        await self._ask([PUBLISH((names.sequence,), names.channel, stream, orjson.dumps(message))], deadline)

    async def _ask(self, commands: list[Command], deadline: Deadline) -> list[Any]:
        answers = await self._route.ask(commands, deadline.within(self._hard_s))
        for _, reply in answers:
            if isinstance(reply, StorageError):
                raise reply
        return [reply for _, reply in answers]

    async def take_pings(self, *, deadline: Deadline) -> list[bytes] | None:
        """The pings that wait: taken before the outbox is read, and handed to `echo` when that is delivered. None: another one relays."""
        names = self._names
        call = TAKE_PINGS((names.pings, names.relay), self._process, str(RELAYS_MS), str(PINGS_A_TURN))
        (taken,) = await self._ask([call], deadline)
        self._relays = taken is not None
        return taken  # type: ignore[no-any-return]

    async def retire(self, *, deadline: Deadline) -> None:
        """Where this process relayed last, another one begins with its next turn."""
        if self._relays:
            self._relays = False
            await self._ask([RELEASE((self._names.relay,), self._process)], deadline)

    async def echo(self, pings: Sequence[bytes], *, deadline: Deadline) -> None:
        """Tell every process whose ping was taken that all before it has been delivered."""
        if pings:
            await self._send({"echoes": [ping.decode("utf-8", "replace") for ping in pings]}, deadline)

    async def receive(self, *, wait_s: float) -> list[Event]:
        """Events in order, as soon as there are any. A connection that is lost is a `Gap`, and made anew with back-off."""
        until = self._runtime.deadline(wait_s)
        while True:
            try:
                events = await self._receive(until)
            except StorageError as error:
                events = self._lost(error)
            if events or until.remaining() <= 0:
                return events

    async def _receive(self, until: Deadline) -> list[Event]:
        if self._subscription is not None and self._subscription.names is not self._names:
            self._subscription.close()
            self._subscription = None
        if self._subscription is None:
            return await self._subscribe_again(until)
        now = self._runtime.monotonic()
        if now >= self._next_ping:
            self._next_ping = now + self._ping_every_s
            await self._look(now)
            await self._send_ping(now)
        events = await self._subscription.receive(until.within(self._next_ping - now), self._process)
        if any(isinstance(event, Echo) for event in events):
            self._echoed_at = self._runtime.monotonic()
        if not events:
            await self._subscription.prove_life(self._silent_s)
        return events

    async def _look(self, now: float) -> None:
        """Where echoes fail to come, whether this server was replaced: one that was may go on taking pings that no relay sees."""
        if now - self._echoed_at >= self._silent_s:
            with contextlib.suppress(StorageError):
                await self._route.still_reigns(self._route.reign, self._runtime.deadline(self._hard_s))

    async def _subscribe_again(self, until: Deadline) -> list[Event]:
        pause_s = self._retry.wait_s(self._runtime.monotonic())
        await self._runtime.sleep(min(until.remaining(), pause_s))
        if pause_s > 0 and until.remaining() <= 0:
            return []
        await self._subscribe(self._runtime.deadline(self._hard_s))
        return [Gap("subscribed again")]

    async def _send_ping(self, now: float) -> None:
        """A ping that cannot be stored is not echoed, and that is all; a server that is gone or demoted ends the subscription."""
        pings = self._names.pings
        words: list[tuple[str, ...]] = [
            ("RPUSH", pings, f"{self._process} {now!r}"),
            ("LTRIM", pings, str(-PINGS_KEPT), "-1"),
            ("EXPIRE", pings, str(PINGS_LAST_S)),
        ]
        try:
            await self._ask([Plain(pings, one) for one in words], self._runtime.deadline(self._hard_s))
        except (TimeoutError, QueryError) as error:
            log.debug("Sending a ping on the Redis channel failed: %s", error)

    def _lost(self, error: StorageError) -> list[Event]:
        """The first loss is a gap; after it, failing attempts are nothing new."""
        self._retry.failed(self._runtime.monotonic())
        if self._subscription is None:
            return []
        self._subscription.close()
        self._subscription = None
        return [Gap(str(error))]

    async def _subscribe(self, deadline: Deadline) -> None:
        self._subscription = await _Subscription.make(self._route, self._names, self._runtime, deadline)
        self._retry.succeeded()
        self._next_ping = 0.0

    async def ping(self, deadline: Deadline) -> str:
        node = await self._route.node(self._names.sequence, deadline)
        link, _ = await node.ask([Plain("", ("PING",))], deadline.within(self._hard_s), probe=True)
        return link.version

    async def close(self, deadline: Deadline) -> None:
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None


class _Subscription:
    """One subscribed link, and where it is in the stream."""

    def __init__(self, names: ChannelNames, node: Node, link: Link, runtime: Runtime) -> None:
        self.names = names
        self._node = node
        self._link = link
        self._runtime = runtime
        self._stream = ""
        self._number = self._first = 0
        self._heard_at = runtime.monotonic()
        self._asked_at: float | None = None

    @classmethod
    async def make(cls, route: Route, names: ChannelNames, runtime: Runtime, deadline: Deadline) -> _Subscription:
        """Subscribe first, then read the number: whatever is lost from then on is noticed."""
        sequence = names.sequence
        node = await route.node(sequence, deadline)
        link = await node.open_own(deadline)
        try:
            (subscribed,) = await link.exchange(pack(("SUBSCRIBE", names.channel)), 1, deadline)
            if isinstance(subscribed, ReplyError):
                raise typed(subscribed)
            ((epoch, reply),) = await route.ask([Plain(sequence, ("HMGET", sequence, "stream", "number"))], deadline)
            if isinstance(reply, QueryError):  # no hash: rubbish of somebody else's, which the next message replaces
                reply = (None, None)
            if isinstance(reply, StorageError):
                raise reply
            if epoch != link.epoch:
                raise ConnectionError("the Redis server changed while the channel was opened", tier="l2")
        except BaseException:
            link.close()
            raise
        made = cls(names, node, link, runtime)
        stream, number = reply
        made._stream = (stream or b"").decode("utf-8", "replace")
        made._number = made._first = int(number) if number is not None and number.isdigit() else 0
        return made

    async def receive(self, deadline: Deadline, process: str) -> list[Event]:
        events: list[Event] = []
        for reply in await self._link.pushed(deadline):
            self._heard_at, self._asked_at = self._runtime.monotonic(), None
            if isinstance(reply, ReplyError):
                raise typed(reply)
            if reply[0] == b"message":
                events += self._events(reply[2], process)
        if self._link.reign != self._node.reign:  # what a server says that was replaced counts no more
            raise ConnectionError("another Redis server carries the channel now", tier="l2")
        return events

    def _events(self, message: bytes, process: str) -> list[Event]:
        try:
            stream, number, text = message.split(b":", 2)
            gap = self._advance(stream.decode(), int(number))
            body = orjson.loads(text)
            events: list[Event] = [] if gap is None else [gap]
            if changes := body.get("changes"):
                events.append(Invalidated(tuple(_change(key, version) for key, version in changes)))
            for ping in body.get("echoes", ()):
                sender, _, sent_at = ping.partition(" ")
                if sender == process and (at := float(sent_at)) <= self._runtime.monotonic():
                    events.append(Echo(at))
        except (ValueError, TypeError, AttributeError):
            return [Gap("a message of the channel could not be read")]
        return events

    def _advance(self, stream: str, number: int) -> Gap | None:
        """A Gap unless the message is the next one. What came before the number was read needs none: nobody relied on it yet."""
        expected = self._number + 1
        same = stream == self._stream or not self._stream
        if same and number <= self._first:
            return None
        self._stream, self._number = stream, number
        if same and number == expected:
            return None
        return Gap(f"message {number} of {stream} came where {expected} was expected")

    async def prove_life(self, silent_s: float) -> None:
        """After some silence ask for a sign; ConnectionError if none came for as long again. A dead peer sends no reset."""
        now = self._runtime.monotonic()
        if self._asked_at is not None and now - self._asked_at >= silent_s:
            raise ConnectionError("the channel's connection is silent", tier="l2")
        if self._asked_at is None and now - self._heard_at >= silent_s:
            self._asked_at = now
            await self._link.send(pack(("PING",)), self._runtime.deadline(silent_s))

    def close(self) -> None:
        self._link.close()


def _change(key: object, version: object) -> Change:
    """TypeError for what no process of ours has sent."""
    if not isinstance(key, str) or not isinstance(version, int):
        raise TypeError("a change is a key's name and a version")
    return Change(key, version)
