"""JSON pointers, as errors name places with them: of a content, they show the names on the way, and no value."""

from __future__ import annotations

from collections.abc import Sequence

MAX_NAME_CHARACTERS = 60
MAX_PARTS = 16
"""Of a longer path the first and the last are shown."""


def pointer(path: Sequence[str | int]) -> str:
    """The JSON pointer (RFC 6901) of a path, of at most some 1,000 characters, without control characters.

    The whole document, which RFC 6901 writes as nothing, is "/" here: errors must show it.
    """
    parts = ["/" + (str(part) if isinstance(part, int) else _name(part)) for part in path]
    if len(parts) > MAX_PARTS:
        parts[MAX_PARTS // 2 : -MAX_PARTS // 2] = ["/…"]
    return "".join(parts) or "/"


def _name(name: str) -> str:
    """A name as it can be shown: cut where it is long, in one line, without what a terminal would obey."""
    if len(name) > MAX_NAME_CHARACTERS:
        name = f"{name[: MAX_NAME_CHARACTERS - 1]}…"
    if not name.isprintable():
        name = "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in name)
    return name.replace("~", "~0").replace("/", "~1")
