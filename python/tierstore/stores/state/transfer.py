"""State as one file of JSON lines, and back: the backup of state, and the way from one place to another.

A line holds a key, when its value ends (absolute, or null) and the encoded value, opened: neither compressed nor sealed, so that the file
can be read in under another prefix, by other keys, on another backend. It is no snapshot: what is written meanwhile is in it or not.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import orjson

from tierstore._native import digest
from tierstore.backends.pairs import ABSENT_TAG, Pair, Put
from tierstore.calls.lines import Item, LinesFile, count_lines, read_batches, to_line
from tierstore.errors import CorruptError, InvalidKeyError, StorageError, ValidationError, raise_alone
from tierstore.plan.state import check_key, pattern
from tierstore.runtime import Deadline
from tierstore.stores.state import values
from tierstore.stores.state.model import EPOCH, StateExport, StateImport, moment
from tierstore.stores.state.parts import StateParts
from tierstore.tiers.sweep import Progress

STORE: Final = "state"
AT_ONCE: Final = 100
"""Keys that are read, or values that are written, at a time."""


async def each_page(
    parts: StateParts, prefix: str, deadline: Deadline, look: Callable[[Sequence[str]], Awaitable[None]]
) -> None:
    """Give `look` all keys under `prefix`, AT_ONCE at a time. On Redis a key may come twice."""
    after: str | None = None
    while True:
        keys, after = await parts.pairs.page(prefix, limit=AT_ONCE, after=after, deadline=deadline)
        await look(list(dict.fromkeys(keys)))
        if after is None:
            return


class Export:
    """One export to `path`; with `resume` it goes on with what an interrupted one has written."""

    def __init__(self, parts: StateParts, path: str | os.PathLike[str], *, resume: bool) -> None:
        self._parts = parts
        self._file = LinesFile(path, STORE, resume=resume, each=self._take_up)
        self._written: set[str] = set()
        self._unreadable: list[str] = []

    async def run(self, prefix: str, progress: Progress, deadline: Deadline) -> StateExport:
        call, file = self._parts.runtime.call, self._file
        try:
            await call(file.open, deadline=deadline)
            total = (await self._parts.pairs.counts(deadline)).keys or 0

            async def look(keys: Sequence[str]) -> None:
                await self._write(keys, deadline)
                progress(len(self._written), max(total, len(self._written)))

            await each_page(self._parts, prefix, deadline, look)
            await call(file.finish, deadline=deadline)
        except BaseException:
            file.abandon()
            raise
        return StateExport(file.count, len(self._unreadable), tuple(dict.fromkeys(self._unreadable)))

    def _take_up(self, line: bytes) -> None:
        self._written.add(orjson.loads(line)["key"])

    async def _write(self, keys: Sequence[str], deadline: Deadline) -> None:
        new = [key for key in keys if key not in self._written and self._is_own(key)]
        found = await self._parts.runtime.gather([self._parts.pairs.look(key, deadline=deadline) for key in new])
        lines = [self._line(key, pair) for key, pair in zip(new, found, strict=True) if pair is not None]
        await self._parts.runtime.call(self._file.write, [line for line in lines if line], deadline=deadline)
        self._written.update(new)

    def _is_own(self, key: str) -> bool:
        """Another program's key may be none of state; `get` refuses it, and so would an import."""
        try:
            check_key(key)
        except InvalidKeyError:
            self._unreadable.append(pattern(key))
            return False
        return True

    def _line(self, key: str, pair: Pair) -> bytes | None:
        try:
            value = self._parts.unsealed(key, pair.value)
            values.decode(value)
        except CorruptError:
            self._unreadable.append(pattern(key))
            return None
        ends = moment(pair.expires_ms)
        return to_line({"key": key, "expires_at": ends and ends.isoformat()}, value, digest(value))


class Import:
    """One import from `path`. It may be run again: it then stores what it has stored once more, or skips it."""

    def __init__(self, parts: StateParts, path: str | os.PathLike[str], *, keeps_existing: bool) -> None:
        self._parts = parts
        self._path = path
        self._keeps_existing = keeps_existing
        self._stored = self._skipped = self._ended = 0

    async def run(self, progress: Progress, deadline: Deadline) -> StateImport:
        call = self._parts.runtime.call
        batches = read_batches(self._path, STORE, self._parts.config.max_value_bytes + len(values.RAW), AT_ONCE)
        total, line = await call(count_lines, self._path, deadline=deadline), 2
        while (batch := await call(next, batches, None, deadline=deadline)) is not None:
            try:
                await self._take(batch, deadline)
            except StorageError as error:
                error.message = f"{self._path}, from line {line} on: {error.message}"
                raise
            line += len(batch)
            progress(line - 2, total)
        return StateImport(self._stored, self._skipped, self._ended)

    async def _take(self, batch: list[Item], deadline: Deadline) -> None:
        puts: dict[str, Put] = {}
        for item in batch:
            left_ms = self._left_ms(item.get("expires_at"))
            if left_ms is not None and left_ms <= 0:
                self._ended += 1
                continue
            key, value = check_key(item.get("key")), item["content"]
            values.decode(value)
            puts[key] = Put(key, self._parts.envelope.seal(key, value), left_ms)
        if self._keeps_existing:
            await self._put_absent(list(puts.values()), deadline)
        elif puts:
            await self._parts.pairs.put_many(list(puts.values()), deadline=deadline)
            self._stored += len(puts)

    async def _put_absent(self, puts: list[Put], deadline: Deadline) -> None:
        put = self._parts.pairs.put
        etags = await self._parts.runtime.gather(
            [put(each._replace(expected=ABSENT_TAG), deadline=deadline) for each in puts]
        )
        self._skipped += etags.count(None)
        self._stored += len(etags) - etags.count(None)

    def _left_ms(self, ends: Any) -> int | None:
        """By this machine's clock: the server is not asked for its own."""
        if ends is None:
            return None
        try:
            left = datetime.fromisoformat(ends) - EPOCH
        except (TypeError, ValueError):
            text = "expires_at must be a time with its offset from UTC, or null"
            raise_alone(ValidationError(text, place="expires_at"))
        return left // timedelta(milliseconds=1) - int(self._parts.runtime.wall() * 1000)
