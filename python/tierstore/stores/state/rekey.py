"""Seal what is stored as it would be sealed now: after a new active key, or when encryption was turned on or off."""

from __future__ import annotations

from collections.abc import Sequence

from tierstore.backends.pairs import KEEP_MS, Pair, Put
from tierstore.errors import CorruptError
from tierstore.plan.state import pattern
from tierstore.runtime import Deadline
from tierstore.stores.state.model import StateRekey
from tierstore.stores.state.parts import StateParts
from tierstore.stores.state.transfer import each_page
from tierstore.tiers.sweep import Progress


class Rekey:
    """One run over the keys under a prefix. A value that others write meanwhile is theirs: they seal it by their own configuration."""

    def __init__(self, parts: StateParts, deadline: Deadline) -> None:
        self._parts = parts
        self._deadline = deadline
        self._checked = self._sealed = 0
        self._unreadable: list[str] = []

    async def run(self, prefix: str, progress: Progress) -> StateRekey:
        pairs, deadline = self._parts.pairs, self._deadline
        total = (await pairs.counts(deadline)).keys or 0

        async def look(keys: Sequence[str]) -> None:
            for key, pair in zip(keys, await pairs.get_many(keys, deadline=deadline), strict=True):
                if pair is not None:
                    await self._look_at(key, pair)
            progress(self._checked, max(total, self._checked))

        await each_page(self._parts, prefix, deadline, look)
        patterns = tuple(dict.fromkeys(self._unreadable))
        return StateRekey(self._checked, self._sealed, len(self._unreadable), patterns)

    async def _look_at(self, key: str, pair: Pair | None) -> None:
        pairs, envelope = self._parts.pairs, self._parts.envelope
        self._checked += 1
        while pair is not None and not envelope.is_current(pair.value):
            try:
                sealed = envelope.seal(key, envelope.open(key, pair.value))
            except CorruptError:
                self._unreadable.append(pattern(key))
                return
            if await pairs.put(Put(key, sealed, KEEP_MS, pair.etag), deadline=self._deadline) is not None:
                self._sealed += 1
                return
            (pair,) = await pairs.get_many((key,), deadline=self._deadline)
