"""The scripts of `lua/`, and the names of what they keep beside the values.

Each script of a change is made twice, for it tells the change by a stream on one server and by the slot's channel in a cluster. The
names hold a control character, which no key of state has: no key can hit them, and lists of keys leave them out.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import resources
from itertools import count, product
from typing import NamedTuple

from tierstore.backends.redis.cluster import CLUSTER_SLOTS, cluster_slot, slot_of_tag
from tierstore.backends.redis.commands import Call, Script
from tierstore.errors import ConfigError

RESERVED = "\x1f"
"""Begins, behind the prefix, the name of everything that is no value."""
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def _text(name: str) -> str:
    return resources.files(__package__).joinpath("lua", f"{name}.lua").read_text("utf-8")


class Scripts(NamedTuple):
    """What changes pairs."""

    put: Script
    delete: Script
    pop: Script
    expire: Script
    increment: Script


def _changes(tell: str) -> Scripts:
    head = _text(tell) + _text("common")
    return Scripts(*(Script.of(head + _text(name)) for name in Scripts._fields))


BY_STREAM, BY_SHARD = _changes("tell_by_stream"), _changes("tell_by_shard")
LOOK, ENDS, WATCH = (Script.of(_text("common") + _text(name)) for name in ("look", "ends", "watch"))


class Names:
    """Of one prefix: on one server a stream and the mark of its watchers, in a cluster for each slot a counter, which is a channel too."""

    def __init__(self, prefix: str, *, single: bool) -> None:
        if not single and ("{" in prefix or "}" in prefix):
            raise ConfigError(f"the prefix of state in a Redis cluster must not contain braces, got {prefix!r}")
        self.prefix = prefix
        self.single = single
        self.scripts = BY_STREAM if single else BY_SHARD
        self.stream = f"{prefix}{RESERVED}state.changes"
        self.mark = f"{prefix}{RESERVED}state.watched"
        self.counters = [] if single else [f"{prefix}{RESERVED}{{{tag}}}" for tag in _tags()]

    @property
    def any(self) -> str:
        """One of them."""
        return self.stream if self.single else self.counters[0]

    def group(self, keys: Sequence[str]) -> list[list[int]]:
        """The places of keys that one script may touch: all, or those of each slot."""
        if self.single:
            return [list(range(len(keys)))] if keys else []
        groups: dict[int, list[int]] = {}
        for at, key in enumerate(keys):
            groups.setdefault(cluster_slot(key), []).append(at)
        return list(groups.values())

    def call(self, script: Script, keys: Sequence[str], *arguments: str | bytes) -> Call:
        """A call of a script that changes keys, all of one group."""
        beside = (self.stream, self.mark) if self.single else (self.counter(keys[0]),)
        return script((*beside, *keys), *arguments)

    def counter(self, key: str) -> str:
        """What the script `ends` reads beside the keys of one group."""
        return self.stream if self.single else self.counters[cluster_slot(key)]


@cache
def _tags() -> Sequence[str]:
    """A short hash tag for each slot of a cluster. Found in some 50 ms, once a process."""
    tags: dict[int, str] = {}
    lengths = count(1)
    while len(tags) < CLUSTER_SLOTS:
        for digits in product(DIGITS, repeat=next(lengths)):
            tag = "".join(digits)
            tags.setdefault(slot_of_tag(tag), tag)
            if len(tags) == CLUSTER_SLOTS:
                break
    return [tags[slot] for slot in range(CLUSTER_SLOTS)]
