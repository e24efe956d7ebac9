"""What things are called in L2.

    value   ts1:{<namespace>:<slot>}:<kind>:<key>
    lease   ts1.lease:{<namespace>:<slot>}:<kind>:<key>
    floor   ts1.floor:{<namespace>:<slot>}

All three of a slot carry the same hash tag, so that one script may touch them in cluster mode. The namespace is the configured
prefix and a hash of the database's identity: two environments on one Redis never read each other's values.
"""

from __future__ import annotations

import hashlib

from tierstore._native import slot, slotted
from tierstore.errors import ValidationError

FAMILY = "ts1"
SLOTS = 65_536
IDENTITY_DIGITS = 12


def namespace(prefix: str, identity: str) -> str:
    """The namespace of a database (`Records.identity`, its timeline included) under a configured prefix.

    ValidationError for a prefix with braces: they would move the hash tag.
    """
    if "{" in prefix or "}" in prefix:
        raise ValidationError("the prefix of L2 keys must not contain braces", place="prefix")
    digest = hashlib.sha256(identity.encode()).hexdigest()[:IDENTITY_DIGITS]
    return f"{prefix}{digest}"


def l2_key(namespace: str, kind: str, key: str) -> str:
    """The key of one value."""
    return f"{FAMILY}:{{{namespace}:{slot(kind, key)}}}:{kind}:{key}"


def l2_keys(namespace: str, kind: str, keys: list[str]) -> list[str]:
    """`l2_key` for each."""
    return slotted(f"{FAMILY}:{{{namespace}:", kind, keys)


def slot_tag(key: str) -> str:
    """`{<namespace>:<slot>}` of a value's key, braces included."""
    return key[key.index("{") : key.index("}") + 1]


def floor_key(key: str) -> str:
    """The key of the floor that fences a value, given the value's key."""
    return f"{FAMILY}.floor:{slot_tag(key)}"


def lease_key(key: str) -> str:
    """The key of the lease to load a value, given the value's key."""
    return f"{FAMILY}.lease{key[len(FAMILY) :]}"


def channel_tag(namespace: str) -> str:
    """The hash tag of what the channel keeps: its name, its sequence, the pings that wait for the relay."""
    return f"{{{namespace}}}"
