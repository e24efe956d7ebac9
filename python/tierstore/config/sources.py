"""Settings from variables and from a file: found by the names that stand beside each field, and put into their policies.

A text that is not of its field's type is handed on as it is: the policy refuses it, and `build` adds where it came from.
"""

from __future__ import annotations

import base64
import re
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar, get_args, get_origin

from tierstore.config.check import bare, require
from tierstore.config.setting import KEY, Known, Policy, field_types, nested, settings
from tierstore.errors import ConfigError, raise_alone

CONFIG_FILE = "TIERSTORE_CONFIG"
TYPES = {"storage.backend.type": ("postgres", "sqlite"), "storage.cache.type": ("redis",)}
"""Keys of a file that set nothing: they say what its tables are for."""
SWITCHES = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
_HOST = re.compile(r"(?:\[([^\[\]]+)\]|([^\[\]:]+)):(\d{1,5})")
_KEY = re.compile(r"[\w.-]{1,200}")
_WHOLE, _NUMBER = re.compile(r"\d{1,18}"), re.compile(r"\d{1,12}(\.\d+)?")
P = TypeVar("P", bound=Policy)


class Given(NamedTuple):
    """A setting's value, and the variable or the key of a file that gave it."""

    value: Any
    origin: str


def from_variables(policy: type[Policy], variables: Mapping[str, str], file: Mapping[str, Given]) -> dict[str, Given]:
    """What a file gave, and over it what variables give. An empty variable gives nothing."""
    given = dict(file)
    for known in settings(policy):
        others = () if known.name in file else known.setting.fallbacks
        for name in (*known.setting.env, *others):
            if text := variables.get(name):
                given[known.name] = Given(_from_text(known.annotation, text), name)
                break
    return given


def from_document(policy: type[Policy], document: Mapping[str, Any], file: str) -> dict[str, Given]:
    """What a parsed file gives. ConfigError for a key that nothing is known by."""
    known = {key: one for one in settings(policy) for key in one.setting.toml}
    given: dict[str, Given] = {}
    for key, value in _leaves(document, known).items():
        if (allowed := TYPES.get(key)) is not None:
            require(key, value, value in allowed, f"one of {', '.join(allowed)}")
        elif (one := known.get(key)) is None:
            name = key if _KEY.fullmatch(key) else "with a key that is not a name"
            raise ConfigError(
                f"{file}: unknown setting {name}; known are {', '.join(sorted([*known, *TYPES]))}", key=name
            )
        else:
            given[one.name] = Given(_from_toml(one.annotation, value), f"{key} in {file}")
    return given


def parse_toml(path: Path) -> dict[str, Any]:
    """The document in a file. ConfigError where there is none."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise_alone(ConfigError(f"the configuration file {path} cannot be read: {error.strerror}"))
    except ValueError as error:  # it is no TOML, no UTF-8, or its name is no name
        raise_alone(ConfigError(f"the configuration file {str(path)!r} is not TOML: {error}"))


def build(policy: type[P], given: Mapping[str, Given]) -> P:
    """The policy with those of its tiers whose address is given. ConfigError says where a wrong value came from."""
    try:
        return _build(policy, "", given)
    except ConfigError as error:
        origin = given.get(error.key or "")
        if origin is None:
            raise
        raise_alone(ConfigError(f"{error} (given by {origin.origin})", key=error.key))


def _build(policy: type[P], prefix: str, given: Mapping[str, Given]) -> P:
    arguments: dict[str, Any] = {}
    for item in fields(policy):
        name = f"{prefix}{item.name}"
        inner = nested(field_types(policy)[item.name])
        if inner is not None and _is_on(inner, f"{name}.", given):
            arguments[item.name] = _build(inner, f"{name}.", given)
        elif name in given:
            arguments[item.name] = given[name].value
        elif inner is None and item.default is item.default_factory is MISSING:
            setting = item.metadata[KEY]
            raise ConfigError(f"{name} is missing: set {setting.env[0]}, or {setting.toml[0]} in a file", key=name)
    return policy(**arguments)


def _is_on(policy: type[Policy], prefix: str, given: Mapping[str, Given]) -> bool:
    """A tier is on when its address is given; its other settings alone do not switch it on."""
    known = settings(policy, prefix)
    addresses = [one.name for one in known if one.setting.opens]
    if not addresses:
        return any(one.name in given for one in known)
    return any(name in given and given[name].value for name in addresses)


def _leaves(table: Mapping[str, Any], known: Mapping[str, Known], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in table.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and name not in known:
            found |= _leaves(value, known, f"{name}.")
        else:
            found[name] = value
    return found


def _from_toml(annotation: Any, value: Any) -> Any:
    if isinstance(value, dict) and get_args(annotation)[-1:] == (bytes,):
        return {name: _bytes(one) if isinstance(one, str) else one for name, one in value.items()}
    if not isinstance(value, list):
        return _hosts(value) if _is_hosts(annotation) and isinstance(value, str) else value
    return _hosts(",".join(map(str, value))) if _is_hosts(annotation) else tuple(value)


def _from_text(annotation: Any, text: str) -> Any:
    """The value that a text stands for; the text itself where it stands for none."""
    annotation, word = bare(annotation), text.strip()
    if annotation is bool or (get_origin(annotation) is Literal and True in get_args(annotation)):
        return SWITCHES.get(word.lower(), text)
    if annotation is int:
        return int(word) if _WHOLE.fullmatch(word) else text
    if annotation is float:
        return float(word) if _NUMBER.fullmatch(word) else text
    if _is_hosts(annotation):
        return _hosts(text)
    if get_origin(annotation) is tuple:
        return tuple(_items(text))
    if isinstance(origin := get_origin(annotation), type) and issubclass(origin, Mapping):
        return _pairs(text, get_args(annotation)[1])
    if annotation is bytes:
        return _bytes(text)
    return text


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _is_hosts(annotation: Any) -> bool:
    annotation = bare(annotation)
    return get_origin(annotation) is tuple and get_origin(get_args(annotation)[0]) is tuple


def _hosts(text: str) -> Any:
    """`host:port,host:port`, an IPv6 address in brackets."""
    matches = [_HOST.fullmatch(item) for item in _items(text)]
    if not all(matches):
        return text
    return tuple((match[1] or match[2], int(match[3])) for match in matches if match)


def _pairs(text: str, annotation: Any) -> Any:
    """`name=value,name=value`."""
    pairs = [item.partition("=") for item in _items(text)]
    return {name.strip(): _from_text(annotation, value) for name, _, value in pairs}


def _bytes(text: str) -> Any:
    try:
        return base64.b64decode(text.strip(), validate=True)
    except ValueError:
        return text
