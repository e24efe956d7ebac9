"""How a value is shown to people: addresses without their passwords, secrets not at all."""

from __future__ import annotations

import re

HIDDEN = "***"
_NAMED = r"(\w*(?:pass|secret|token|key)\w*\s*=\s*)"
_QUOTED = r"'(?:[^'\\]|\\.)*'"
_IN_ADDRESS = re.compile(rf"{_NAMED}[^&]*", re.IGNORECASE)
_AMONG_WORDS = re.compile(rf"{_NAMED}(?:{_QUOTED}|.*?(?=\s+\w+\s*=|$))", re.IGNORECASE | re.DOTALL)


def redacted(text: str) -> str:
    """A line of text that may name addresses, without passwords: what stands between a user's colon and the last @ of the word."""
    hidden = re.sub(r"([^\s:/@]*):(?!//)\S*@", rf"\1:{HIDDEN}@", text)
    return re.sub(rf"(password\s*=\s*)(?:{_QUOTED}|\S+)", rf"\1{HIDDEN}", hidden, flags=re.IGNORECASE)


def redacted_address(address: str) -> str:
    """One address without its password, whatever characters that has: as part of the account, or as a parameter."""
    scheme, divider, rest = address.partition("://")
    if not divider:
        return _without_account(_AMONG_WORDS.sub(rf"\1{HIDDEN}", address))
    place = _IN_ADDRESS.sub(rf"\1{HIDDEN}", _without_account(rest))
    return scheme + divider + place


def _without_account(rest: str) -> str:
    account, at, place = rest.rpartition("@")
    user = f"{account.partition(':')[0]}:{HIDDEN}" if ":" in account else account
    return user + at + place


def shown(value: object, *, secret: bool, address: bool) -> str:
    """The repr of a setting's value, fit for errors and logs."""
    if secret:
        return "None" if value is None else HIDDEN
    if address and isinstance(value, str):
        return repr(redacted_address(value))
    if address and isinstance(value, (tuple, list)):
        return repr(type(value)(redacted_address(str(one)) for one in value))
    return repr(value)
