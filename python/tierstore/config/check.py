"""Whether a value is of its field's type and within its bounds, wherever it came from: code, file or environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields
from types import NoneType, UnionType
from typing import Any, Literal, NoReturn, Union, get_args, get_origin

from tierstore.config.address import ENCODED, is_ambiguous
from tierstore.config.secrets import shown
from tierstore.config.setting import KEY, Policy, Setting, field_types, nested
from tierstore.errors import ConfigError

NO_SETTING = Setting((), ())


def check(policy: Policy, place: str = "") -> None:
    """ConfigError for a field with a wrong value. `place` is what the fields' names begin with. A list becomes a tuple."""
    for item in fields(policy):
        value, annotation = getattr(policy, item.name), field_types(type(policy))[item.name]
        setting = item.metadata.get(KEY, NO_SETTING)
        if value is None and NoneType in get_args(annotation):
            continue
        if get_origin(bare(annotation)) is tuple and isinstance(value, list):
            value = tuple(value)
            object.__setattr__(policy, item.name, value)
        expected = _unless_right(value, bare(annotation), setting)
        if expected is not None:
            refuse(f"{place}{item.name}", value, expected, setting)


def require(name: str, value: object, holds: bool, expected: str) -> None:
    """ConfigError unless it holds."""
    if not holds:
        refuse(name, value, expected)


def refuse(name: str, value: object, expected: str, setting: Setting = NO_SETTING) -> NoReturn:
    """ConfigError with the setting's name (its `key`, too), its value unless that is secret, and what was expected."""
    text = shown(value, secret=setting.secret, address=setting.address)
    raise ConfigError(f"{name} must be {expected}, got {text}", key=name)


def bare(annotation: Any) -> Any:
    """A type without its None; a union of several is left as it is."""
    if get_origin(annotation) in (Union, UnionType):
        parts = [part for part in get_args(annotation) if part is not NoneType]
        return parts[0] if len(parts) == 1 else annotation
    return annotation


def _unless_right(value: Any, annotation: Any, setting: Setting) -> str | None:
    """What was expected, in words; None where the value is that, or where only its policy can say."""
    policy, origin = nested(annotation), get_origin(annotation)
    if policy is not None:
        return None if isinstance(value, policy) else f"a {policy.__name__}"
    if origin is Literal:
        words = get_args(annotation)
        return None if _is_among(value, words) else f"one of {', '.join(str(word).lower() for word in words)}"
    if annotation is bool:
        return None if isinstance(value, bool) else "true or false"
    if annotation in (int, float):
        return None if _is_number(value, annotation, setting.least) else _number(annotation, setting.least)
    if annotation is str:
        return None if _is_text(value, setting) else _text(setting)
    if origin is tuple and get_args(annotation)[0] is str:
        right = isinstance(value, tuple) and all(_is_text(one, setting) for one in value)
        return None if right else f"a list of str, each {_text(setting)}" if setting.schemes else "a list of str"
    if origin is not None and issubclass(origin, Mapping) and get_args(annotation)[1] is bytes:
        right = isinstance(value, Mapping) and all(isinstance(one, bytes) for one in value.values())
        return None if right else "a mapping from each name to bytes, in a text as base64"
    if origin is not None and issubclass(origin, Mapping):
        right = isinstance(value, Mapping) and all(_is_number(one, float, setting.least) for one in value.values())
        return None if right else f"a mapping from each name to {_number(float, setting.least)}"
    return None


def _is_among(value: Any, words: tuple[Any, ...]) -> bool:
    """1 is not True here."""
    return any(type(value) is type(word) and value == word for word in words)


def _is_number(value: Any, annotation: type, least: float) -> bool:
    allowed = int if annotation is int else (int, float)
    return isinstance(value, allowed) and not isinstance(value, bool) and least <= value < float("inf")


def _number(annotation: type, least: float) -> str:
    return f"a {'whole number' if annotation is int else 'number of seconds'}, {least:g} or more"


def _is_text(value: Any, setting: Setting) -> bool:
    if not isinstance(value, str) or not is_encodable(value) or not value.startswith(setting.schemes or ""):
        return False
    return not (setting.schemes and is_ambiguous(value))


def _text(setting: Setting) -> str:
    return f"an address that starts with one of {', '.join(setting.schemes)}, {ENCODED}" if setting.schemes else "text"


def is_encodable(text: str) -> bool:
    """Whether the operating system takes it: no NUL ends it early, and it has UTF-8."""
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return "\0" not in text
