"""The bus of a simulated world: a carrier whose pings a relay echoes, as the channel over Redis."""

from __future__ import annotations

from collections.abc import Sequence

from tests.model.world import Road, Step, no_step
from tierstore.backends import Change, Echo, Event, Gap, Invalidated
from tierstore.plan.keys import Namespace
from tierstore.runtime import Deadline, Runtime

RELAYS_S = 1.0
"""As the channel over Redis: a process that relays goes on to do so, and is replaced when it was not heard of for so long."""

Place = tuple[int, Namespace | None]
"""A server of the bus, and by whose names it is spoken to; None: those of the beginning."""


class Bus:
    """Every message reaches every subscriber, in order; a lost one shows as a gap before the next, as by its missing number.

    A message reaches those who listen where it was sent to, and pings wait there, for the one process that `relays`.
    """

    def __init__(self) -> None:
        self.channels: list[FakeChannel] = []
        self.pings: dict[Place, list[bytes]] = {}
        self.relays: dict[Place, tuple[int, float]] = {}
        """By place: the number of the channel whose process relays, and until when if it does not come again."""

    def send(self, event: Event, place: Place, sender: FakeChannel | None = None) -> None:
        for channel in self.channels:
            if channel.place == place and (sender is None or channel is sender):
                channel.deliver(event)


class FakeChannel:
    """A relayed carrier, as Redis's: pings wait for the relay. `silent`: nothing gets through. `road`: whose links it shares."""

    name = "fake"

    def __init__(
        self, bus: Bus, runtime: Runtime, step: Step = no_step, *, ping_every_s: float = 0.5, road: Road | None = None
    ) -> None:
        self._bus = bus
        self._road = road
        self.moved_to: list[Namespace] = []
        self.place = self._linked
        self._runtime = runtime
        self._step = step
        self._every_s = ping_every_s
        self._next_ping = 0.0
        self.inbox: list[Event] = []
        self.silent = False
        self.lose = 0
        self._lost = False
        self.number = len(bus.channels)
        bus.channels.append(self)

    async def open(self, deadline: Deadline) -> None:
        return None

    def deliver(self, event: Event) -> None:
        if self.lose > 0:
            self.lose -= 1
            self._lost = True
            return
        if self._lost:
            self._lost = False
            self.inbox.append(Gap("a message is missing"))
        self.inbox.append(event)

    @property
    def _linked(self) -> Place:
        """Where its links lead to; where it listens, `place`, may still be elsewhere."""
        return 0 if self._road is None else self._road.reign, self.moved_to[-1] if self.moved_to else None

    async def publish(self, changes: Sequence[Change], *, deadline: Deadline) -> None:
        linked = self._linked
        await self._step("publish")
        self._bus.send(Invalidated(tuple(changes)), linked)

    async def receive(self, *, wait_s: float) -> list[Event]:
        now = self._runtime.monotonic()
        if now >= self._next_ping and not self.silent:
            self._next_ping = now + self._every_s
            self._bus.pings.setdefault(self._linked, []).append(f"{self.number} {now!r}".encode())
        if not self.inbox or self.silent:
            await self._runtime.sleep(min(wait_s, 0.01))
        await self._step("receive")
        if self.silent:
            return []
        if self.place != self._linked:
            self.place, self.inbox = self._linked, []
            return [Gap("the channel is elsewhere now")]
        events, self.inbox = self.inbox, []
        return events

    async def take_pings(self, *, deadline: Deadline) -> list[bytes] | None:
        linked, now = self._linked, self._runtime.monotonic()
        number, until = self._bus.relays.get(linked, (self.number, now))
        if number != self.number and now < until:
            return None
        self._bus.relays[linked] = self.number, now + RELAYS_S
        return self._bus.pings.pop(linked, [])

    async def retire(self, *, deadline: Deadline) -> None:
        if self._bus.relays.get(self._linked, (None, 0.0))[0] == self.number:
            del self._bus.relays[self._linked]

    async def echo(self, pings: Sequence[bytes], *, deadline: Deadline) -> None:
        linked = self._linked
        await self._step("echo")
        for ping in pings:
            number, _, sent_at = ping.decode().partition(" ")
            self._bus.send(Echo(float(sent_at)), linked, self._bus.channels[int(number)])

    def move(self, namespace: Namespace) -> None:
        self.moved_to.append(namespace)

    async def ping(self, deadline: Deadline) -> str:
        return "fake"

    async def close(self, deadline: Deadline) -> None:
        return None
