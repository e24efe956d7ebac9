"""How a value is shown to people: addresses without their passwords, secrets not at all."""

from __future__ import annotations

import re

from tierstore.config.address import is_ambiguous

HIDDEN = "***"
_PARAMETER = (
    r"(?:host|hostaddr|port|dbname|user|passfile|service|options|replication|client_encoding|connect_timeout|tcp_user_timeout"
    r"|target_session_attrs|load_balance_hosts|channel_binding|\w*application_name|(?:keepalives|ssl|gss|krb|require)\w*)"
)
"""libpq's parameters. What follows a password and is none of them may be a piece of it, whatever quotes and blanks it holds."""
_END = rf"(?=\s+{_PARAMETER}\s*=|\s*$)"
_VALUE = rf"(?:'(?:[^'\\]|\\.)*'{_END}|.*?{_END})"
_NAMED = r"(\w*(?:pass|secret|token|key)\w*\s*=\s*)"
_IN_ADDRESS = re.compile(rf"{_NAMED}.*", re.IGNORECASE | re.DOTALL)
"""Up to the end: the password may hold what parts parameters."""
_AMONG_WORDS = re.compile(rf"{_NAMED}{_VALUE}", re.IGNORECASE | re.DOTALL)
_IN_PROSE = re.compile(rf"(\w*(?:passw|pwd|secret)\w*\s*=\s*){_VALUE}", re.IGNORECASE | re.DOTALL)
_ACCOUNT = re.compile(r"(\w[\w+.-]*://[^\s:/@]*:).*@", re.DOTALL)
_ACCOUNT_ALONE = re.compile(r"([^\s:/@]*):(?!//|\s).*@", re.DOTALL)


def redacted(text: str) -> str:
    """A text that may name addresses, without passwords: what stands between a user's colon and the last @, whatever that is."""
    hidden = _ACCOUNT.sub(rf"\1{HIDDEN}@", _IN_PROSE.sub(rf"\1{HIDDEN}", text))
    return _ACCOUNT_ALONE.sub(rf"\1:{HIDDEN}@", hidden)


def redacted_address(address: str) -> str:
    """One address without its password, whatever characters that has: as part of the account, or as a parameter."""
    scheme, divider, rest = address.partition("://")
    if not divider:
        return _without_account(_AMONG_WORDS.sub(rf"\1{HIDDEN}", address))
    if "@" not in rest and is_ambiguous(address):
        return f"{scheme}://{HIDDEN}"
    return scheme + divider + _without_account(_IN_ADDRESS.sub(rf"\1{HIDDEN}", rest))


def _without_account(rest: str) -> str:
    account, at, place = rest.rpartition("@")
    user = f"{account.partition(':')[0]}:{HIDDEN}" if ":" in account else account
    return user + at + place


def without_account(address: str) -> str:
    """The address of a server that takes its credentials otherwise, so that what logs it shows none."""
    scheme, divider, rest = address.partition("://")
    return scheme + divider + rest.rpartition("@")[2]


def shown(value: object, *, secret: bool, address: bool) -> str:
    """The repr of a setting's value, fit for errors and logs."""
    if secret:
        return "None" if value is None else HIDDEN
    if isinstance(value, str):
        return repr(redacted_address(value))
    if address and isinstance(value, (tuple, list)):
        return repr(type(value)(redacted_address(one) for one in value)) if all(map(_is_whole, value)) else HIDDEN
    return redacted(repr(value))


def _is_whole(address: object) -> bool:
    """Whether it is an address, and not a piece of one that had a comma in its password."""
    return isinstance(address, str) and "://" in address and not is_ambiguous(address)
