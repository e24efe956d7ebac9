"""A violation with the part of the history that shows it: the calls that met its keys, what the database had, and the faults."""

from __future__ import annotations

import copy
from bisect import bisect_right
from collections.abc import Iterator, Sequence

from tests.faults.history.checker import Checker, Violation
from tests.faults.history.records import Call, Fault, Row, Shown

AROUND_S = 3.0
MOST_LINES, MOST_CHARACTERS = 30, 500


def explain(violation: Violation, checker: Checker, faults: Sequence[Fault]) -> str:
    """Several lines of text."""
    call = violation.call
    lines = [f"{violation.promise}: {violation.text}", f"  in {str(call)[:MOST_CHARACTERS]}"]
    lines += [f"  while {fault}" for fault in faults if _meets(fault, call)]
    for key in violation.keys:
        lines += _truth_of(key, checker, call)
        near = [other for other in checker.calls if _shows(other, key) and _is_near(other, call)]
        at = next((at for at, other in enumerate(near) if other is call), len(near))
        part = near[max(0, at - MOST_LINES) : at + MOST_LINES // 3]
        lines += [f"  {'>' if other is call else ' '} {_about(other, key)}" for other in part]
    return "\n".join(lines)


def _about(call: Call, key: str) -> str:
    """The call, with those of its answers that concern the key."""
    id = key.removeprefix("id ")
    part = copy.copy(call)
    part.shown = [one for one in call.shown if _is_of(one, key, id)]
    part.wrote = [one for one in call.wrote if one.id == id] or call.wrote
    part.rows = [row for row in call.rows if row.id == id] or call.rows
    return str(part)[:MOST_CHARACTERS]


def _is_of(shown: Shown, key: str, id: str) -> bool:
    return shown.key == key or (shown.row is not None and shown.row.id == id)


def _meets(fault: Fault, call: Call) -> bool:
    return fault.began <= call.ended and call.began - AROUND_S <= fault.ended


def _is_near(other: Call, call: Call) -> bool:
    return call.began - AROUND_S <= other.ended and other.began <= call.ended + AROUND_S


def _shows(call: Call, key: str) -> bool:
    if key.startswith("list "):
        return call.listed == key.removeprefix("list ")
    id = key.removeprefix("id ")
    return (
        any(_is_of(one, key, id) for one in call.shown)
        or any(one.id == id for one in call.wrote)
        or any(row.id == id for row in call.rows)
    )


def _truth_of(key: str, checker: Checker, call: Call) -> Iterator[str]:
    chain = checker.truth.lists.get(key.removeprefix("list ")) if key.startswith("list ") else None
    chain = chain or checker.truth.chains.get(key)
    if chain is None:
        yield f"  the database never had {key}"
        return
    known = checker.truth.generation_at(chain.subject, call.ended)
    yield f"  {key}, by the generation of its subject, of which {known} is known to have been committed when the call ended:"
    values = list(zip(chain.since, chain.values, strict=True))
    end = bisect_right(chain.since, known) + 3
    for generation, value in values[max(0, end - MOST_LINES) : end]:
        yield f"    {generation}: {tuple(value) if isinstance(value, Row) else value}"
