"""What a setting is: a field of a policy whose metadata has its names outside the code, beside its type and default."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple, get_args, get_type_hints

from tierstore.config.secrets import shown

LEAST_SECONDS = 0.001
KEY = "setting"


@dataclass(frozen=True, slots=True)
class Setting:
    """`env`: its variables, `fallbacks`: those of other programs, asked last; `toml`: its keys in a file, the first is the usual one.

    `least`: the smallest number; `schemes`: how an address begins; `secret`: never shown; `opens`: giving it switches its tier on.
    """

    env: tuple[str, ...]
    toml: tuple[str, ...]
    fallbacks: tuple[str, ...] = ()
    least: float = LEAST_SECONDS
    schemes: tuple[str, ...] = ()
    address: bool = False
    secret: bool = False
    opens: bool = False


def named(env: str, *toml: str, fallbacks: tuple[str, ...] = (), **how: Any) -> Mapping[str, Setting]:
    """The metadata of a field: its variable, and its keys below [storage] in a file; `how` as `Setting` has it."""
    return {KEY: Setting((env,), tuple(f"storage.{key}" for key in toml), fallbacks, **how)}


@dataclass(frozen=True, slots=True, repr=False)
class Policy:
    """What every policy is: a frozen dataclass whose fields are settings, or policies of their own. Its repr leaves secrets out."""

    def __repr__(self) -> str:
        parts = []
        for item in fields(self):
            setting = item.metadata.get(KEY, Setting((), ()))
            if not setting.secret:
                parts.append(f"{item.name}={shown(getattr(self, item.name), secret=False, address=setting.address)}")
        return f"{type(self).__name__}({', '.join(parts)})"


class Known(NamedTuple):
    """A setting with its place: `name` is "redis.ttl", `annotation` its type."""

    name: str
    annotation: Any
    setting: Setting


def field_types(policy: type[Policy]) -> Mapping[str, Any]:
    """The type of each field."""
    return get_type_hints(policy)


def nested(annotation: Any) -> type[Policy] | None:
    """The policy that a field of this type holds, if it holds one."""
    for part in (annotation, *get_args(annotation)):
        if isinstance(part, type) and issubclass(part, Policy):
            return part
    return None


def settings(policy: type[Policy], prefix: str = "") -> tuple[Known, ...]:
    """Every setting of a policy and of those in it."""
    return tuple(_walk(policy, prefix))


def _walk(policy: type[Policy], prefix: str) -> Iterator[Known]:
    for item in fields(policy):
        annotation, name = field_types(policy)[item.name], f"{prefix}{item.name}"
        inner = nested(annotation)
        if inner is not None:
            yield from settings(inner, f"{name}.")
        else:
            yield Known(name, annotation, item.metadata[KEY])
