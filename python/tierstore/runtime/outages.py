"""Outages of the components that a store uses: one log line when a component stops answering, one when it answers again.

Whoever talks to a component reports each failure and, after one, the next success. No lock: the reports come from any thread, also
while another one forks, and `dict.setdefault` and `dict.pop` are one step each, so that one report of several begins the outage.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Literal

log = logging.getLogger("tierstore")
Component = Literal["database", "replica", "Redis", "object store", "channel", "state server"]

QUIET_S = 10.0
"""A component that fails again so soon after it came back is reported later, if it still fails: at most two lines in this time."""
STILL_WORKS: dict[Component, str] = {
    "database": "reads are answered from the caches where possible and marked as stale; writes fail",
    "replica": "reads go to the primary",
    "Redis": "reads go to the database; writes go on; changes of other processes are read from the database",
    "object store": "new content goes into the database; content in the object store cannot be read",
    "channel": "changes of other processes are read from the database; reads and writes go on",
    "state server": "calls of state fail; the other stores go on",
}
TRIED_AGAIN: dict[Component, str] = {
    "database": "on every call",
    "replica": "on a read, after 1 to 30 s",
    "Redis": "every 1 to 2 s",
    "object store": "every 5 s and on every call",
    "channel": "every second",
    "state server": "every 1 to 2 s",
}


class Report:
    """What one component, or the one of its servers that `part` names, says of itself."""

    def __init__(self, outages: Outages, component: Component, part: str) -> None:
        self._outages = outages
        self._component = component
        self._part = part

    def began(self, cause: object) -> None:
        """It failed."""
        self._outages.began(self._component, cause, self._part)

    def ended(self) -> None:
        """It answered, or is not asked any more."""
        self._outages.ended(self._component, self._part)


class Outages:
    """Those of one store. `clock`: seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since: dict[Component, tuple[float]] = {}
        self._parts: dict[Component, dict[str, None]] = {component: {} for component in STILL_WORKS}
        self._ended_at: dict[Component, float] = {}

    def of(self, component: Component, part: str = "") -> Report:
        return Report(self, component, part)

    def __contains__(self, component: Component) -> bool:
        return component in self._since

    def began(self, component: Component, cause: object, part: str = "") -> None:
        """`component`, or the one of its servers that `part` names, failed for `cause`. The first report of an outage is logged."""
        now = self._clock()
        if now - self._ended_at.get(component, -QUIET_S) < QUIET_S:
            return
        self._parts[component][part] = None
        since = (now,)
        if self._since.setdefault(component, since) is since:
            log.warning(
                "%s does not answer (%s): %s. The store tries again %s.",
                _named(component, part),
                " ".join(str(cause).split()),
                STILL_WORKS[component],
                TRIED_AGAIN[component],
            )

    def ended(self, component: Component, part: str = "") -> None:
        """It answered. Logged if that ends an outage: if none of its servers is still missing."""
        parts = self._parts[component]
        parts.pop("", None)
        parts.pop(part, None)
        if parts or (since := self._since.pop(component, None)) is None:
            return
        self._ended_at[component] = now = self._clock()
        log.warning("%s answers again, after %.1f s.", _named(component, part), now - since[0])


def _named(component: Component, part: str) -> str:
    name = component if component == "Redis" else f"The {component}"
    return f"{name} at {part}" if part else name
