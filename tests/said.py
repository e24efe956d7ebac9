"""All that an error says, in whatever way somebody looks at it."""

from __future__ import annotations

import traceback
from collections.abc import Iterator


def said(error: BaseException) -> str:
    """Text, repr, arguments, attributes and traceback of an error, and of every error behind it."""
    parts = ["".join(traceback.format_exception(error))]
    for one in behind(error):
        parts += [str(one), repr(one), repr(one.args), repr(getattr(one, "__dict__", {})), repr(_slots(one))]
    return "\n".join(parts)


def behind(error: BaseException) -> Iterator[BaseException]:
    """The error, its cause and context, and so on; those within groups and arguments too."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        one = waiting.pop()
        if isinstance(one, BaseException) and id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [one.__cause__, one.__context__, *one.args, *getattr(one, "exceptions", ())]


def _slots(error: BaseException) -> dict[str, object]:
    """What a driver's error shows without a `__dict__`: `doc` of a JSON error, `diag` of a database's."""
    shown = {name: getattr(error, name, None) for name in ("doc", "object", "instance", "response", "kwargs")}
    diagnosis = getattr(error, "diag", None)
    return shown | {name: getattr(diagnosis, name, None) for name in dir(diagnosis) if name.startswith("message")}
