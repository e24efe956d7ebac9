"""Which keys there are: SCAN, from server to server, in pages.

SCAN answers every key that is there throughout, some of them twice, in no order, and as many at a time as it likes: what a page has no
room for travels in its cursor. A cursor of SCAN is good on the server that gave it, in the run that gave it. After a fail-over, a
restart or a change of the cluster's slots the scan therefore begins anew, and gives again what it gave before.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import orjson

from tierstore.backends.redis.commands import Plain
from tierstore.backends.redis.node import Node
from tierstore.backends.redis.route import Route
from tierstore.backends.redis.state.scripts import RESERVED
from tierstore.backends.redis.state.travel import all_nodes, ask_node
from tierstore.errors import InvalidKeyError
from tierstore.plan.keys import FAMILY
from tierstore.runtime import Deadline

MOST_LOOKED_AT = 10_000
"""Keys that one step looks at, where few of them are under the prefix: the server is held up for a millisecond or two."""
MOST_CARRIED = 4_000
"""Bytes that keys take in a cursor. With more the step is made again, smaller."""
MOST_AT_ALL = 40_000
"""Where it cannot be smaller they may take so many, lest the page be longer than it may: MAX_CURSOR_CHARACTERS has room for them."""
STEPS = 100
"""Steps of a page at most: then it is as short as it is."""
IDENTITY_DIGITS = 16
ENDED = ""
_AT = re.compile(r"[0-9]{0,20}")


class _Place(NamedTuple):
    """Where a scan stands: at the server of this `number`. `layout`, `server`: what the cursor is good for; `carried`: found, not given."""

    layout: str
    number: int = 0
    server: str = ""
    cursor: str = "0"
    carried: tuple[str, ...] = ()


class Keys:
    """Those behind the driver's prefix. `cache_prefix`: that of the cache tier, if it is on the same servers: its keys are no state."""

    def __init__(self, route: Route, prefix: str, cache_prefix: str | None) -> None:
        self._route = route
        self._prefix = prefix
        caches = () if cache_prefix is None else (f"{cache_prefix}{FAMILY}:{{", f"{cache_prefix}{FAMILY}.")
        self._hidden = (f"{prefix}{RESERVED}", *caches)

    async def page(
        self, prefix: str, *, limit: int, after: str | None, deadline: Deadline
    ) -> tuple[list[str], str | None]:
        """Up to `limit` keys, without the driver's prefix, and the cursor of the next page; None at the end."""
        nodes = await all_nodes(self._route, deadline)
        beginning = _Place(self._route.layout)
        place = beginning if after is None else _read(after)
        found, size = list(place.carried), limit
        is_good = place.layout == beginning.layout and place.number < len(nodes)
        at = None if place.cursor == ENDED else place if is_good else beginning
        for _ in range(STEPS):
            if at is None or len(found) >= limit:
                break
            names, behind = await self._step(nodes, prefix, at, size, deadline)
            if names is None:
                at = beginning
            elif size > 1 and _size((found + names)[limit:]) > MOST_CARRIED:
                size = max(1, size // 4)
            else:
                found, at = found + names, behind
                size = max(1, limit - len(found)) if names else min(MOST_LOOKED_AT, size * 4)
        return _page(found, limit, at)

    async def _step(
        self, nodes: list[Node], prefix: str, place: _Place, size: int, deadline: Deadline
    ) -> tuple[list[str] | None, _Place | None]:
        """The keys, and the place behind them; no keys where the server is another one than the place's."""
        words = ("SCAN", place.cursor, "MATCH", f"{_meaning_itself(self._prefix + prefix)}*", "COUNT", str(size))
        link, (reply,) = await ask_node(nodes[place.number], [Plain("", (*words, "TYPE", "string"))], deadline)
        server = link.identity[:IDENTITY_DIGITS]
        if place.cursor != "0" and server != place.server:
            return None, None
        cursor = reply[0].decode()
        number = place.number + (cursor == "0")
        behind = None if number == len(nodes) else _Place(place.layout, number, server, cursor)
        return [key for name in reply[1] if (key := self._key(name)) is not None], behind

    def _key(self, name: bytes) -> str | None:
        """Without the prefix; None for what is no key of state."""
        try:
            text = name.decode()
        except UnicodeDecodeError:
            return None
        return None if text.startswith(self._hidden) else text.removeprefix(self._prefix)


def _page(found: list[str], limit: int, place: _Place | None) -> tuple[list[str], str | None]:
    carried = tuple(found[limit:])
    if _size(carried) > MOST_AT_ALL:
        limit, carried = len(found), ()
    if place is None and not carried:
        return found[:limit], None
    position = (place or _Place("", cursor=ENDED))._replace(carried=carried)
    return found[:limit], orjson.dumps(tuple(position)).decode()


def _size(carried: Sequence[str]) -> int:
    """What keys take in a cursor, which is a text in the JSON of the caller's cursor."""
    return len(orjson.dumps(orjson.dumps(carried).decode())) if carried else 0


def _meaning_itself(prefix: str) -> str:
    """For MATCH, whose `*`, `?`, `[`, `]` and `\\` mean something else."""
    return re.sub(r"([*?\[\]\\])", r"\\\1", prefix)


def _read(cursor: str) -> _Place:
    try:
        layout, number, server, at, carried = orjson.loads(cursor)
        if all(isinstance(text, str) for text in (layout, server, at, *carried)) and _AT.fullmatch(at) and number >= 0:
            return _Place(layout, int(number), server, at, tuple(carried))
    except (ValueError, TypeError):
        pass
    raise InvalidKeyError("after must be the cursor of a page of keys; start again without it", place="after")
