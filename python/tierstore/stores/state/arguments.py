"""What calls of state are given, checked before anything is touched. An error names the argument, and shows no key and no value."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from inspect import iscoroutinefunction
from typing import Any, Final

from tierstore.backends.pairs import ABSENT_TAG, KEEP_MS
from tierstore.errors import ValidationError
from tierstore.plan.arguments import check_many, shown
from tierstore.plan.integers import MAX_INT64, MIN_INT64
from tierstore.plan.state import check_key, check_ttl
from tierstore.stores.state.model import DEFAULT, KEEP

MAX_ETAG_CHARACTERS: Final = 255


def ttl_ms(ttl: object, default_ms: int | None, *, keep: bool = False) -> int | None:
    """As the drivers take it. `keep`: whether KEEP makes sense here."""
    if ttl is DEFAULT:
        return default_ms
    if ttl is None:
        return None
    if ttl is KEEP:
        if keep:
            return KEEP_MS
        raise ValidationError("ttl must not be KEEP here: give seconds, a timedelta, None or DEFAULT", place="ttl")
    return check_ttl(ttl)


def expected_of(if_absent: object, expected_etag: object) -> str | None:
    """What a conditional write expects."""
    if not isinstance(if_absent, bool):
        raise ValidationError(f"if_absent must be True or False, got {shown(if_absent)}", place="if_absent")
    etag = check_etag(expected_etag)
    if if_absent and etag is not None:
        raise ValidationError("give either if_absent or expected_etag, not both", place="expected_etag")
    return ABSENT_TAG if if_absent else etag


def check_etag(etag: object) -> str | None:
    """An etag that a call returned, or none."""
    if etag is None or (
        isinstance(etag, str) and 0 < len(etag) <= MAX_ETAG_CHARACTERS and "\0" not in etag and etag.isascii()
    ):
        return etag
    text = f"expected_etag must be an etag that a call returned, got {type(etag).__name__}"
    raise ValidationError(text, place="expected_etag")


def check_keys(keys: object) -> list[str]:
    return check_many(keys, "keys", lambda key: check_key(key, "keys"))


def check_mapping(mapping: object) -> Mapping[str, Any]:
    if not isinstance(mapping, Mapping):
        raise ValidationError(
            f"mapping must be a mapping of keys to values, not {type(mapping).__name__}", place="mapping"
        )
    for key in mapping:
        check_key(key, "mapping")
    return mapping


def check_by(by: object) -> int:
    if not isinstance(by, int) or isinstance(by, bool) or not MIN_INT64 <= by <= MAX_INT64:
        raise ValidationError(f"by must be an int of 64 bits, got {shown(by)}", place="by")
    return by


def check_function(function: object) -> None:
    if not callable(function) or iscoroutinefunction(function):
        text = "function must be a function that returns the new value, and not an async one"
        raise ValidationError(text, place="function")


def check_idle(idle: object) -> float | None:
    if idle is None:
        return None
    if not isinstance(idle, (int, float)) or isinstance(idle, bool) or not 0 <= idle <= sys.float_info.max:
        raise ValidationError(f"idle must be a number of seconds or None, got {shown(idle)}", place="idle")
    return float(idle)


def is_cursor(value: object) -> bool:
    """A driver's own cursor, as it stands in one of ours: how long it may be is said there."""
    return isinstance(value, str) and "\0" not in value
