"""What things are called in Redis. Every name begins with the configured prefix, so that an ACL can be written for it.

    value      <prefix>ts1:{<database>:<slot>}:<kind>:<key>
    lease      <prefix>ts1.lease:{<database>:<slot>}:<kind>:<key>
    hand-over  <prefix>ts1.handover:{<database>:<slot>}:<kind>:<key>
    floor      <prefix>ts1.floor:{<database>:<slot>}
    channel    <prefix>ts1.channel:{<database>}
    sequence   <prefix>ts1.sequence:{<database>}
    pings      <prefix>ts1.pings:{<database>}
    relay      <prefix>ts1.relay:{<database>}

What belongs together carries the same hash tag, so that one script may touch it in cluster mode. `<database>` is a hash of the
database's identity: two environments on one Redis never read each other's values.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from tierstore._native import slot, slotted
from tierstore.errors import ValidationError

FAMILY = "ts1"
SLOTS = 65_536
IDENTITY_DIGITS = 12


class Namespace(NamedTuple):
    """Whose names they are: `prefix` as configured, `database` the hash of an identity."""

    prefix: str
    database: str


class ChannelNames(NamedTuple):
    """What the channel keeps in Redis: its name, the sequence of its messages, the pings that wait for the relay, and who relays."""

    channel: str
    sequence: str
    pings: str
    relay: str


def namespace(prefix: str, identity: str) -> Namespace:
    """The namespace of a database (`Records.identity`, its timeline included) under a configured prefix.

    ValidationError for a prefix with braces: they would move the hash tag.
    """
    if "{" in prefix or "}" in prefix:
        raise ValidationError(f"the Redis prefix must not contain braces, got {prefix!r}", place="prefix")
    return Namespace(prefix, hashlib.sha256(identity.encode()).hexdigest()[:IDENTITY_DIGITS])


def l2_key(namespace: Namespace, kind: str, key: str) -> str:
    """The key of one value."""
    return f"{_head(namespace)}{slot(kind, key)}}}:{kind}:{key}"


def l2_keys(namespace: Namespace, kind: str, keys: list[str]) -> list[str]:
    """`l2_key` for each."""
    return slotted(_head(namespace), kind, keys)


def _head(namespace: Namespace) -> str:
    return f"{namespace.prefix}{FAMILY}:{{{namespace.database}:"


def slot_tag(key: str) -> str:
    """`{<database>:<slot>}` of a value's key, braces included."""
    return key[key.index("{") : key.index("}") + 1]


def floor_key(key: str) -> str:
    """The key of the floor that fences a value, given the value's key."""
    return f"{_family(key)}.floor:{slot_tag(key)}"


def lease_key(key: str) -> str:
    """The key of the lease to load a value, given the value's key."""
    return _sibling(key, "lease")


def hand_over_key(key: str) -> str:
    """The key of what a load hands over to those who wait for it, given the value's key."""
    return _sibling(key, "handover")


def _sibling(key: str, what: str) -> str:
    family = _family(key)
    return f"{family}.{what}{key[len(family) :]}"


def _family(key: str) -> str:
    """`<prefix>ts1` of a value's key: neither has braces."""
    return key[: key.index("{") - 1]


def channel_names(namespace: Namespace) -> ChannelNames:
    """The names of the channel of a database."""
    head, tag = f"{namespace.prefix}{FAMILY}", f"{{{namespace.database}}}"
    return ChannelNames(*(f"{head}.{what}:{tag}" for what in ChannelNames._fields))
