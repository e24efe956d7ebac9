"""Rule 6: how this process learns what others changed, and going over from one carrier to the next.

The first carrier is Redis's channel where there is one, with the outbox standing by: it is read every STANDBY_S, so that it never falls
behind what is retained, and takes over when no echo came for H/2. Both may speak at once; what is reported twice does no harm. With one
carrier (the outbox or SQLite's data_version alone) nothing ever goes over.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from tierstore.backends import Answering, Change, Channel, Echo, Event, Gap, Invalidated
from tierstore.errors import StorageError
from tierstore.runtime import Runtime, Supervisor
from tierstore.tiers.freshness import Freshness
from tierstore.tiers.stats import Counters

log = logging.getLogger("tierstore")
WAIT_S = {"async": 0.5, "blocking": 0.05}
"""How long one step listens: in the blocking face the relay and both carriers share one thread."""
STANDBY_S = 4.0
RETRY_S = 0.2
SETTLE_S = 10.0
"""How long a channel is silent before that counts as its own outage: the relay tries a database that came back within LAST_BACKOFF_S."""


class Listener(Protocol):
    """What the carriers report to the engine."""

    def on_invalidated(self, changes: tuple[Change, ...], *, ahead_of_l2: bool) -> None:
        """Keys that some process changed. `ahead_of_l2`: their invalidation in L2 may not have happened yet."""
        ...

    def on_echo(self, sent_at: float, *, l2: bool) -> None:
        """All that was committed before `sent_at` has been reported; with `l2`, L2 has been invalidated too."""
        ...

    def on_gap(self, reason: str) -> None:
        """Anything may have changed."""
        ...


class Carriers:
    """Runs the jobs of one or two channels, and decides which of them carries."""

    def __init__(
        self,
        runtime: Runtime,
        listener: Listener,
        freshness: Freshness,
        counters: Counters,
        channel: Channel,
        standby: Channel | None,
    ) -> None:
        self._runtime = runtime
        self._listener = listener
        self._counters = counters
        self._channel = channel
        self._standby = standby
        self._silent_s = freshness.horizon_s / 2
        self._heard_at = runtime.monotonic()
        self._excused_until = self._heard_at + SETTLE_S
        self._wait_s = WAIT_S[runtime.face]
        self._relayed = isinstance(channel, Answering)
        self._wake: Callable[[str], None] = _nobody
        self.on_standby = False

    @property
    def carrying(self) -> str:
        """The name of the channel that carries now."""
        return self._standby.name if self.on_standby and self._standby is not None else self._channel.name

    def start(self, supervisor: Supervisor) -> None:
        supervisor.start(f"carrier {self._channel.name}", self.step, urgent=True)
        if self._standby is not None:
            self._wake = supervisor.wake
            supervisor.start(f"carrier {self._standby.name}", self.step_standby, urgent=True)

    async def step(self) -> float:
        """Listen to the first carrier once."""
        try:
            events = await self._channel.receive(wait_s=self._wait_s)
        except StorageError as error:
            log.debug("The %s channel failed: %s", self._channel.name, error)
            self._look()
            return RETRY_S
        for event in events:
            if isinstance(event, Echo):
                self._heard(event)
            else:
                self._pass_on(event, ahead_of_l2=False)
        self._look()
        return 0.0

    async def step_standby(self) -> float:
        """Listen to the other one: all the time while it carries, now and then while it stands by."""
        assert self._standby is not None  # noqa: S101  (this job is started only with one)
        for event in await self._standby.receive(wait_s=self._wait_s):
            if isinstance(event, Echo):
                self._listener.on_echo(event.sent_at, l2=False)
            else:
                self._pass_on(event, ahead_of_l2=self.on_standby)
        return 0.0 if self.on_standby else STANDBY_S

    def _heard(self, echo: Echo) -> None:
        self._heard_at = (
            self._runtime.monotonic()
        )  # however old its ping is: the outbox would bring no later news of a slow database
        self._runtime.outages.ended("channel")
        self._listener.on_echo(echo.sent_at, l2=self._relayed)

    def _pass_on(self, event: Event, *, ahead_of_l2: bool) -> None:
        if isinstance(event, Invalidated):
            self._counters.invalidations_received += len(event.changes)
            self._listener.on_invalidated(event.changes, ahead_of_l2=ahead_of_l2)
        elif isinstance(event, Gap):
            self._listener.on_gap(event.reason)

    def _look(self) -> None:
        """Go over when the first carrier has been silent too long, and back when it speaks again."""
        if self._standby is None:
            return
        silent = self._runtime.monotonic() - self._heard_at > self._silent_s
        if silent != self.on_standby:
            self.on_standby = silent
            self._counters.carrier_switches += 1
            log.debug("Changes of other processes now arrive on the %s channel.", self.carrying)
            self._wake(f"carrier {self._standby.name}")
        self._report(silent=silent)

    def _report(self, *, silent: bool) -> None:
        """Of the first channel alone: where the server or the database behind it does not answer, that is reported already."""
        now, outages = self._runtime.monotonic(), self._runtime.outages
        if not silent or "Redis" in outages or "database" in outages:
            self._excused_until = now + SETTLE_S
        elif now >= self._excused_until:
            outages.began("channel", f"no message on the {self._channel.name} channel for {now - self._heard_at:.0f} s")


def _nobody(_name: str) -> None:
    return None
