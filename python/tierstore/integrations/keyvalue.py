"""`store.state` as a store of py-key-value (`pip install 'tierstore[keyvalue]'`), the storage interface of FastMCP.

    from tierstore.integrations.keyvalue import StateKeyValue

    async with tierstore.open("data/") as store:
        kv = StateKeyValue(store.state)
        await kv.put("ana", {"role": "admin"}, collection="sessions", ttl=3600)
        await kv.get("ana", collection="sessions")          # {"role": "admin"}

Collections and keys may be any text: a value lies under `kv:<collection>:<key>`, with escapes for what would be ambiguous and a digest
in place of the end of long names. Errors are those of py-key-value where it names them (a wrong lifetime, a value that is no JSON), else
tierstore's. Without `ttl` a value has no end, as py-key-value has it. It uses the store and does not close it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final, SupportsFloat

from tierstore.config.state import MAX_TTL_S
from tierstore.errors import ConfigError, ValidationError, raise_alone
from tierstore.plan.values import check_name
from tierstore.runtime import AsyncioRuntime
from tierstore.stores.state import Entry, StateStore

try:
    from key_value.aio.errors import InvalidTTLError, SerializationError
    from key_value.aio.protocols.key_value import AsyncKeyValue
except ImportError:
    text = "tierstore.integrations.keyvalue needs the package py-key-value-aio: pip install 'tierstore[keyvalue]'"
    raise_alone(ConfigError(text))

PREFIX: Final = "kv"
DEFAULT_COLLECTION: Final = "default_collection"
MAX_PART_BYTES: Final = 400
"""Of a collection and of a key; a longer one ends in its digest. Both and the prefix are less than a key of state may have."""
KEPT_CHARACTERS: Final = 60
Found = tuple[dict[str, Any] | None, float | None]


class StateKeyValue(AsyncKeyValue):
    """The protocol `AsyncKeyValue` over `state`, the attribute of an open `tierstore.Store` (not of the blocking face)."""

    def __init__(
        self, state: StateStore, *, prefix: str = PREFIX, default_collection: str = DEFAULT_COLLECTION
    ) -> None:
        if not isinstance(state, StateStore):
            raise ValidationError(
                f"state must be store.state of an async store, not {type(state).__name__}", place="state"
            )
        self._state = state
        self._prefix = check_name(prefix, "prefix")
        if not isinstance(default_collection, str):
            raise ValidationError(
                f"default_collection must be str, not {type(default_collection).__name__}", place="default_collection"
            )
        self._default_collection = default_collection

    async def get(self, key: str, *, collection: str | None = None) -> dict[str, Any] | None:
        """The value, or None."""
        return await self._state.get(self._key(key, collection), type=dict)

    async def get_many(self, keys: Sequence[str], *, collection: str | None = None) -> list[dict[str, Any] | None]:
        """The values in the order of the keys, in one round trip."""
        return await self._state.get_many([self._key(key, collection) for key in keys], type=dict)

    async def ttl(self, key: str, *, collection: str | None = None) -> Found:
        """The value and the seconds it has left, None without an end; (None, None) if there is none."""
        return _left(await self._state.get_entry(self._key(key, collection), type=dict))

    async def ttl_many(self, keys: Sequence[str], *, collection: str | None = None) -> list[Found]:
        """As `ttl`, in the order of the keys."""
        asked = [self._state.get_entry(self._key(key, collection), type=dict) for key in keys]
        return [_left(entry) for entry in await AsyncioRuntime().gather(asked)]

    async def put(
        self,
        key: str,
        value: Mapping[str, Any],
        *,
        collection: str | None = None,
        ttl: SupportsFloat | None = None,
    ) -> None:
        """Store the value; `ttl` in seconds. SerializationError for what is no JSON, InvalidTTLError for a wrong lifetime."""
        await self._put({self._key(key, collection): value}, ttl)

    async def put_many(
        self,
        keys: Sequence[str],
        values: Sequence[Mapping[str, Any]],
        *,
        collection: str | None = None,
        ttl: SupportsFloat | None = None,
    ) -> None:
        """As `put`, in one round trip. ValueError if there are not as many values as keys."""
        if len(keys) != len(values):
            raise ValueError(f"put_many needs as many values as keys, got {len(values)} and {len(keys)}")
        await self._put(dict(zip((self._key(key, collection) for key in keys), values, strict=True)), ttl)

    async def delete(self, key: str, *, collection: str | None = None) -> bool:
        """Whether it was there."""
        return await self._state.delete(self._key(key, collection))

    async def delete_many(self, keys: Sequence[str], *, collection: str | None = None) -> int:
        """How many were there."""
        return await self._state.delete_many([self._key(key, collection) for key in keys])

    async def destroy_collection(self, collection: str) -> bool:
        """Delete all values of a collection; whether there were any."""
        return await self._state.delete_prefix(self._key("", collection)) > 0

    async def _put(self, values: Mapping[str, Mapping[str, Any]], ttl: SupportsFloat | None) -> None:
        lifetime = _lifetime(ttl)
        plain = {key: _plain(value) for key, value in values.items()}
        try:
            await self._state.set_many(plain, ttl=lifetime)
        except (
            ValidationError
        ) as error:  # beyond what state keeps exactly: too long, an integer above 64 bits, too deep
            raise_alone(SerializationError(error.message))

    def _key(self, key: str, collection: str | None) -> str:
        return f"{self._prefix}:{_part(collection or self._default_collection)}:{_part(key)}"


def _part(name: str) -> str:
    """A name without colons and control characters, short enough, and no other name's."""
    if not isinstance(name, str):
        raise TypeError(f"keys and collections must be str, got {type(name).__name__}")
    escaped = "".join(
        character if character.isprintable() and character not in "%:~" else _escape(character) for character in name
    )
    if len(escaped.encode()) <= MAX_PART_BYTES:
        return escaped
    digest = sha256(name.encode(errors="surrogatepass")).hexdigest()
    return f"{escaped[:KEPT_CHARACTERS]}~{digest}"  # no other name has a ~


def _escape(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode(errors="surrogatepass"))


def _lifetime(ttl: SupportsFloat | None) -> float | None:
    if ttl is None:
        return None
    try:
        seconds = 0.0 if isinstance(ttl, bool) else float(ttl)
    except (TypeError, ValueError, OverflowError):
        seconds = 0.0
    if not 0 < seconds <= MAX_TTL_S:
        raise InvalidTTLError(ttl=ttl)
    return seconds


def _plain(value: object) -> dict[str, Any]:
    """The value as JSON has it, and nothing that only tierstore could write: it must be the same in every store of py-key-value."""
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise TypeError(f"a value must be a mapping with str keys, got {type(value).__name__}")
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(value), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise_alone(SerializationError(f"the value is not JSON: {type(error).__name__}"))
    return plain


def _left(entry: Entry | None) -> Found:
    if entry is None:
        return None, None
    if entry.expires_at is None:
        return entry.value, None
    return entry.value, max(0.0, (entry.expires_at - datetime.now(UTC)).total_seconds())
