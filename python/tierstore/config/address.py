"""Whether an address can be read in one way only. A password that has the signs between its parts as they are moves into the host or the
path, and from there into a driver's errors."""

from __future__ import annotations

import re

ENCODED = "with the signs of addresses in a user name or a password percent-encoded (a slash as %2F, an at sign as %40)"
_POSTGRES = ("postgres", "postgresql")
_HOST = re.compile(r"(?:\[[^\[\]@]+\]|[^\[\]:@]*)(?::\d*)?")


def is_ambiguous(address: str) -> bool:
    """Whether a part of the account may stand where no account is. A text without `://` is no address, and is not looked at."""
    scheme, divider, rest = address.partition("://")
    if not divider:
        return False
    if scheme in _POSTGRES:  # as libpq reads it: the account ends at the first @ before any /
        place = rest[found.end() :] if (found := re.match("[^@/]*@", rest)) else rest
        hosts = re.split("[/?]", place, maxsplit=1)[0]
        path, _, query = place[len(hosts) :].partition("?")
        options = all("=" in option for option in query.split("&") if "@" in option)
        return "@" in path or not options or not all(map(_HOST.fullmatch, hosts.split(",")))
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    host, behind = authority.rpartition("@")[2], rest[len(authority) :]
    if scheme == "unix":
        return host != ""
    return "@" in behind or not _HOST.fullmatch(host)
