"""The states of a schema and the moves between them. Modules have their own, beside these.

draft → active ⇄ deprecated        active, deprecated → disabled → active        any → archived (final)
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from tierstore.errors import ConflictError, ValidationError
from tierstore.plan.arguments import shown

SCHEMA_STATES = ("draft", "active", "deprecated", "disabled", "archived")

SCHEMA_MOVES: Mapping[str, frozenset[str]] = {
    "draft": frozenset({"active", "archived"}),
    "active": frozenset({"deprecated", "disabled", "archived"}),
    "deprecated": frozenset({"active", "disabled", "archived"}),
    "disabled": frozenset({"active", "archived"}),
    "archived": frozenset(),
}

SCHEMA_ORIGINS: Mapping[str, tuple[str, ...]] = {
    state: tuple(origin for origin, targets in SCHEMA_MOVES.items() if state in targets) for state in SCHEMA_STATES
}
"""The states from which each may be reached."""

LATEST_STATES = ("active", "deprecated")
"""The states that "latest" considers unless told otherwise."""


def check_state(state: object, *, place: str = "state") -> str:
    """`state` if it is one. ValidationError otherwise."""
    if not isinstance(state, str) or state not in SCHEMA_STATES:
        raise ValidationError(f"{shown(state)} is no state; the states are {', '.join(SCHEMA_STATES)}", place=place)
    return state


def check_states(states: Collection[str] | None) -> tuple[str, ...] | None:
    """The states in their canonical order, each once; None for None (any state)."""
    if states is None:
        return None
    if isinstance(states, (str, bytes, Mapping)) or not isinstance(states, Collection):
        raise ValidationError(f"states is a collection of states, not {shown(states)}", place="states")
    wanted = {check_state(state, place="states") for state in states}
    return tuple(state for state in SCHEMA_STATES if state in wanted)


def wanted_states(states: Collection[str] | None) -> tuple[str, ...]:
    """As `check_states`, with every state for None."""
    checked = check_states(states)
    return SCHEMA_STATES if checked is None else checked


def check_move(current: str, wanted: str, *, key: str | None = None) -> None:
    """ConflictError unless the lifecycle has the move `current` → `wanted`."""
    if wanted not in SCHEMA_MOVES[current]:
        legal = ", ".join(sorted(SCHEMA_MOVES[current])) or "nothing: it is final"
        raise ConflictError(
            f"a schema that is {current} cannot become {wanted}; from there it may become {legal}", key=key
        )
