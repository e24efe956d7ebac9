"""JSON pointers, as errors name places with them."""

from __future__ import annotations

from collections.abc import Sequence


def pointer(path: Sequence[str | int]) -> str:
    """The JSON pointer (RFC 6901) of a path. The whole document, which RFC 6901 writes as nothing, is "/" here: errors must show it."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path) or "/"
