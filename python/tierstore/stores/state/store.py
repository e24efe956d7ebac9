"""`store.state`: values under keys, each with an end. Where they lie is configured (`StateConfig`); the calls are the same everywhere."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, Literal, TypeVar, overload

from tierstore.backends.pairs import ABSENT_TAG, KEEP_MS, Pair, Put
from tierstore.errors import ConflictError, ValidationError
from tierstore.plan.arguments import check_callable, check_flag, check_path, shown
from tierstore.plan.integers import added
from tierstore.plan.state import check_key, check_prefix
from tierstore.runtime import Deadline
from tierstore.stores.state import arguments, values
from tierstore.stores.state.model import (
    ABSENT,
    DEFAULT,
    KEEP,
    Default,
    Keep,
    StateExport,
    StateImport,
    StateRekey,
)
from tierstore.stores.state.reader import StateReader, check_type
from tierstore.stores.state.rekey import Rekey
from tierstore.stores.state.transfer import Export, Import
from tierstore.tiers.sweep import Progress, quiet

DELETED_AT_ONCE = 1_000
UNTIL_EQUAL = "others kept changing the value"
_T = TypeVar("_T")
_D = TypeVar("_D")


class StateStore(StateReader):
    """Values under keys, each with an end (`store.state`).

    A key is 1 to 1,024 bytes of UTF-8 without control characters. A value is any JSON value (int64 exact), bytes, or whatever `type=`
    reads back. `ttl=`: seconds or a timedelta, None for no end, DEFAULT for `StateConfig.ttl`, which is a day. What has ended is never
    returned.
    """

    # One value

    async def set(
        self,
        key: str,
        value: Any,
        *,
        ttl: float | timedelta | Default | Keep | None = DEFAULT,
        if_absent: bool = False,
        expected_etag: str | None = None,
        timeout: float | None = None,
    ) -> str:
        """Store the value, with a new end, in place of what is there. Return its etag.

        ConflictError, and nothing is changed, with `if_absent` if there is a value, with `expected_etag` if there is none or its etag is
        another one.
        """
        with self._operation("set", key, timeout, "write") as operation:
            check_key(key)
            expected = arguments.expected_of(if_absent, expected_etag)
            etag = await self._put(
                key, self._sealed(key, value), self._ttl(ttl, keep=True), expected, operation.deadline
            )
            if etag is None:
                why = "there is a value already" if if_absent else "there is no value, or it has another etag"
                raise ConflictError(f"{why}: nothing was changed")
            return etag

    async def add(
        self, key: str, value: Any, *, ttl: float | timedelta | Default | None = DEFAULT, timeout: float | None = None
    ) -> bool:
        """Store the value if there is none, and return whether it was stored: of several callers one gets True."""
        with self._operation("add", key, timeout, "write") as operation:
            sealed = self._sealed(check_key(key), value)
            return await self._put(key, sealed, self._ttl(ttl), ABSENT_TAG, operation.deadline) is not None

    async def delete(self, key: str, *, expected_etag: str | None = None, timeout: float | None = None) -> bool:
        """Delete the value, and return whether there was one. ConflictError, and nothing is changed, if its etag is not `expected_etag`."""
        with self._operation("delete", key, timeout, "write") as operation:
            expected = arguments.check_etag(expected_etag)
            deleted = await self._pairs.delete(check_key(key), expected=expected, deadline=operation.deadline)
            if deleted is None:
                raise ConflictError("the value has another etag: nothing was deleted; read it again")
            return deleted

    async def touch(
        self, key: str, ttl: float | timedelta | Default | None = DEFAULT, *, timeout: float | None = None
    ) -> bool:
        """Give the value a new end, and return whether there is one. Its etag stays."""
        with self._operation("touch", key, timeout, "write") as operation:
            return await self._pairs.expire(check_key(key), self._ttl(ttl), deadline=operation.deadline)

    async def persist(self, key: str, *, timeout: float | None = None) -> bool:
        """Take the value's end away, and return whether there is a value. Its etag stays."""
        with self._operation("persist", key, timeout, "write") as operation:
            return await self._pairs.expire(check_key(key), None, deadline=operation.deadline)

    @overload
    async def pop(self, key: str, *, default: Any = None, timeout: float | None = None) -> Any: ...
    @overload
    async def pop(self, key: str, *, type: type[_T], timeout: float | None = None) -> _T | None: ...
    @overload
    async def pop(self, key: str, *, type: type[_T], default: _D, timeout: float | None = None) -> _T | _D: ...
    @overload
    async def pop(self, key: str, *, type: Any, default: Any = None, timeout: float | None = None) -> Any: ...
    async def pop(self, key: str, *, type: Any = None, default: Any = None, timeout: float | None = None) -> Any:
        """Delete the value and return it, or `default` if there is none: of several callers one gets it.

        `type`: as for `get`; a value that does not fit is not deleted.
        """
        with self._operation("pop", key, timeout, "write") as operation:
            check_key(key)
            if type is not None or self._parts.envelope.seals:
                check_type(type)
                return await self._pop_checked(key, type, default, operation.deadline)
            data = await self._pairs.pop(key, deadline=operation.deadline)
            self._parts.count(0 if data is None else 1, 1)
            return default if data is None else self._parts.opened(key, data, None)

    async def _pop_checked(self, key: str, type: Any, default: Any, deadline: Deadline) -> Any:
        """Read it first, so that nothing is deleted that cannot be returned."""
        while True:
            (pair,) = await self._pairs.get_many((key,), deadline=deadline)
            if pair is None:
                self._parts.count(0, 1)
                return default
            value = self._parts.opened(key, pair.value, type)
            if await self._pairs.delete(key, expected=pair.etag, deadline=deadline):
                self._parts.count(1, 1)
                return value
            deadline.check(UNTIL_EQUAL)

    # What depends on the value

    async def increment(
        self,
        key: str,
        by: int = 1,
        *,
        ttl: float | timedelta | Default | None = DEFAULT,
        timeout: float | None = None,
    ) -> int:
        """Add to the number, and return the sum. An absent one counts as 0 and gets `ttl`; one that is there keeps its end.

        ConflictError, and nothing is changed, if the value is not an int or the sum has more than 64 bits.
        """
        with self._operation("increment", key, timeout, "write") as operation:
            check_key(key)
            amount, ttl_ms = arguments.check_by(by), self._ttl(ttl)
            if self._parts.envelope.seals:
                total = await self._increment_sealed(key, amount, ttl_ms, operation.deadline)
            else:
                total = await self._pairs.increment(key, amount, ttl_ms, deadline=operation.deadline)
            if total is None:
                raise ConflictError("the value is not an int, or the sum has more than 64 bits: nothing was changed")
            return total

    async def _increment_sealed(self, key: str, by: int, ttl_ms: int | None, deadline: Deadline) -> int | None:
        while True:
            pair = await self._pairs.look(key, deadline=deadline)
            total = by if pair is None else added(self._parts.unsealed(key, pair.value), by)
            if total is None:
                return None
            sealed = self._parts.envelope.seal(key, b"%d" % total)
            if await self._put_over(key, pair, sealed, ttl_ms if pair is None else KEEP_MS, deadline):
                return total

    async def compare_and_set(
        self,
        key: str,
        expected: Any,
        value: Any,
        *,
        ttl: float | timedelta | Default | Keep | None = KEEP,
        timeout: float | None = None,
    ) -> bool:
        """Store the value if the one that is there equals `expected`, and return whether it was stored.

        Equal as JSON: the order of names does not count, and 1, 1.0 and True differ. `expected=ABSENT`: there must be none.
        """
        with self._operation("compare_and_set", key, timeout, "write") as operation:
            sealed, ttl_ms = self._sealed(check_key(key), value), self._ttl(ttl, keep=True)
            if expected is ABSENT:
                return await self._put(key, sealed, ttl_ms, ABSENT_TAG, operation.deadline) is not None
            wanted = values.encode(expected)
            while True:
                (pair,) = await self._pairs.get_many((key,), deadline=operation.deadline)
                if pair is None or not values.same(self._parts.unsealed(key, pair.value), wanted):
                    return False
                if await self._put_over(key, pair, sealed, ttl_ms, operation.deadline):
                    return True

    async def update(
        self,
        key: str,
        function: Callable[[Any], Any],
        *,
        type: Any = None,
        default: Any = None,
        ttl: float | timedelta | Default | Keep | None = KEEP,
        timeout: float | None = None,
    ) -> Any:
        """Store `function(value)` in place of the value, and return it. The function gets `default` if there is no value.

        It is called again with the new value when others changed it meanwhile, until the deadline: it must have no other effect. What it
        raises is raised, and nothing is changed. `type`: as for `get`.
        """
        with self._operation("update", key, timeout, "write") as operation:
            check_key(key)
            check_type(type)
            ttl_ms = self._ttl(ttl, keep=True)
            arguments.check_function(function)
            while True:
                (pair,) = await self._pairs.get_many((key,), deadline=operation.deadline)
                made = function(default if pair is None else self._parts.opened(key, pair.value, type))
                if await self._put_over(key, pair, self._sealed(key, made), ttl_ms, operation.deadline):
                    return made

    async def _put_over(
        self, key: str, pair: Pair | None, sealed: bytes, ttl_ms: int | None, deadline: Deadline
    ) -> bool:
        """Whether what is there was still that pair (or nothing). TimeoutError where it was not, and there is no time for another try."""
        expected = ABSENT_TAG if pair is None else pair.etag
        if await self._put(key, sealed, ttl_ms, expected, deadline) is not None:
            return True
        deadline.check(UNTIL_EQUAL)
        return False

    # Many keys

    async def set_many(
        self,
        mapping: Mapping[str, Any],
        *,
        ttl: float | timedelta | Default | None = DEFAULT,
        timeout: float | None = None,
    ) -> None:
        """Store every value under its key, in one round trip a server: all or nothing (on Redis Cluster all or nothing per slot)."""
        with self._operation("set_many", None, timeout, "write") as operation:
            given, ttl_ms = arguments.check_mapping(mapping), self._ttl(ttl)
            puts = [Put(key, self._sealed(key, value), ttl_ms) for key, value in given.items()]
            if puts:
                await self._pairs.put_many(puts, deadline=operation.deadline)

    async def delete_many(self, keys: Iterable[str], *, timeout: float | None = None) -> int:
        """Delete the values, and return how many there were."""
        with self._operation("delete_many", None, timeout, "write") as operation:
            checked = list(dict.fromkeys(arguments.check_keys(keys)))
            return await self._pairs.delete_many(checked, deadline=operation.deadline) if checked else 0

    async def delete_prefix(self, prefix: str, *, everything: bool = False, timeout: float | None = None) -> int:
        """Delete every key that begins with `prefix`, and return how many there were. The empty prefix needs `everything=True`.

        In batches: after a TimeoutError some are deleted, and another call goes on.
        """
        with self._operation("delete_prefix", prefix, timeout, "bulk") as operation:
            if not check_prefix(prefix) and not check_flag(everything, "everything"):
                raise ValidationError("an empty prefix deletes all of state: say everything=True", place="prefix")
            count, after = 0, None
            while True:
                deleted, after = await self._pairs.delete_prefix(
                    prefix, limit=DELETED_AT_ONCE, after=after, deadline=operation.deadline
                )
                count += deleted
                if after is None:
                    return count

    # All of it

    async def export(
        self,
        path: str | os.PathLike[str],
        *,
        prefix: str = "",
        resume: bool = False,
        progress: Progress = quiet,
        timeout: float | None = None,
    ) -> StateExport:
        """Write every value under `prefix` to one file of JSON lines, with the time at which it ends; sealed values are opened.

        The file is readable by its owner alone. It is no snapshot: what is written meanwhile may be in it or not. With `resume` an export
        that was interrupted leaves what it has written beside `path`, and the next one goes on with that. `progress(done, total)` is
        called now and then. ValidationError for a path that cannot be written.
        """
        with self._operation("export", None, timeout, "bulk", inside=False) as operation:
            export = Export(self._parts, path, resume=check_flag(resume, "resume"))
            return await export.run(check_prefix(prefix), check_callable(progress, "progress"), operation.deadline)

    async def import_(
        self,
        path: str | os.PathLike[str],
        *,
        existing: Literal["replace", "skip"] = "replace",
        progress: Progress = quiet,
        timeout: float | None = None,
    ) -> StateImport:
        """Store the values of a file that `export` wrote, each with the end that it had; those whose time has come are left out.

        `existing`: what happens to a key that is there, "replace" or "skip". An import that was interrupted can be run again.
        ValidationError and CorruptError name the line.
        """
        with self._operation("import_", None, timeout, "bulk", inside=False) as operation:
            if existing not in ("replace", "skip"):
                raise ValidationError(f"existing must be replace or skip, got {shown(existing)}", place="existing")
            imported = Import(self._parts, check_path(path), keeps_existing=existing == "skip")
            return await imported.run(check_callable(progress, "progress"), operation.deadline)

    async def rekey(self, prefix: str = "", *, progress: Progress = quiet, timeout: float | None = None) -> StateRekey:
        """Seal every value under `prefix` with the active key of `StateEncryption`, or open it where there is no encryption any more.

        Ends stay; etags change. What is sealed so already is left alone: run it again at any time, and to go on after a TimeoutError.
        """
        with self._operation("rekey", prefix, timeout, "bulk", inside=False) as operation:
            return await Rekey(self._parts, operation.deadline).run(
                check_prefix(prefix), check_callable(progress, "progress")
            )

    # What the calls need

    def _ttl(self, ttl: object, *, keep: bool = False) -> int | None:
        return arguments.ttl_ms(ttl, self._parts.default_ttl_ms, keep=keep)

    def _sealed(self, key: str, value: Any) -> bytes:
        """What is stored for the value."""
        return self._parts.sealed(key, value)

    async def _put(
        self, key: str, sealed: bytes, ttl_ms: int | None, expected: str | None, deadline: Deadline
    ) -> str | None:
        return await self._pairs.put(Put(key, sealed, ttl_ms, expected), deadline=deadline)
