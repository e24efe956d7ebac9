"""How a value is shown to people: addresses without their passwords, secrets not at all."""

from __future__ import annotations

import re

HIDDEN = "***"
_SECRET_PARAMETER = re.compile(r"(\w*(?:pass|secret|token|key)\w*=)[^&\s]*", re.IGNORECASE)


def redacted(text: str) -> str:
    """A line of text that may name addresses, without passwords: what stands between a user's colon and the last @ of the word."""
    hidden = re.sub(r"([^\s:/@]*):(?!//)\S*@", rf"\1:{HIDDEN}@", text)
    return re.sub(r"(password=)\S+", rf"\1{HIDDEN}", hidden, flags=re.IGNORECASE)


def redacted_address(address: str) -> str:
    """One address without its password, whatever characters that has: as part of the account, or as a parameter."""
    scheme, divider, rest = address.partition("://")
    if not divider:
        scheme, rest = "", address
    account, at, place = rest.rpartition("@")
    user = f"{account.partition(':')[0]}:{HIDDEN}" if ":" in account else account
    return scheme + divider + user + at + _SECRET_PARAMETER.sub(rf"\1{HIDDEN}", place)


def shown(value: object, *, secret: bool, address: bool) -> str:
    """The repr of a setting's value, fit for errors and logs."""
    if secret:
        return "None" if value is None else HIDDEN
    if address and isinstance(value, str):
        return repr(redacted_address(value))
    if address and isinstance(value, (tuple, list)):
        return repr(type(value)(redacted_address(str(one)) for one in value))
    return repr(value)
