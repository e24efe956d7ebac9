"""Content whose stored bytes do not match its digest: found by a read or by `verify`, reported once, replaced where a good copy is."""

from __future__ import annotations

import logging
from typing import Literal

log = logging.getLogger("tierstore")
Place = Literal["row", "object"]
NAMES: dict[Place, str] = {"row": "the database", "object": "the object store"}
REMEMBERED = 1000
"""Digests; of more damage only the count is kept."""
NAMED = 3


class Damage:
    """`found` counts contents with a bad copy, `healed` copies that were replaced. `waiting`: what a job tries to replace."""

    def __init__(self) -> None:
        self.found = self.healed = 0
        self.waiting: dict[str, None] = {}
        self._known: dict[str, Place] = {}

    def add(self, digest: str, place: Place) -> None:
        """A copy is bad."""
        if digest in self._known:
            return
        self.found += 1
        if len(self._known) >= REMEMBERED:
            return
        self._known[digest] = place
        self.waiting[digest] = None
        log.warning("The content %s is damaged in %s: its bytes do not match its digest.", digest, NAMES[place])

    def replaced(self, digest: str, place: Place) -> None:
        """A bad copy was replaced by a good one."""
        self.healed += 1
        self.forget(digest)
        log.warning("The damaged content %s was replaced in %s.", digest, NAMES[place])

    def forget(self, digest: str) -> None:
        """All its copies are good, or were written anew."""
        self._known.pop(digest, None)
        self.waiting.pop(digest, None)

    def warnings(self) -> tuple[str, ...]:
        """For health, while there is any."""
        if not self._known:
            return ()
        named = ", ".join(list(self._known)[:NAMED])
        more = f" and {len(self._known) - NAMED} more" if len(self._known) > NAMED else ""
        return (
            f"content is damaged and no good copy is known: {named}{more}; register the same content again, or restore a backup",
        )
