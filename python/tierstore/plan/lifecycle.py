"""The states of a schema and the moves between them. Modules have their own, beside these.

draft → active ⇄ deprecated        active, deprecated → disabled → active        any → archived (final)
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Literal, get_args

from tierstore.errors import ConflictError, ValidationError
from tierstore.plan.arguments import shown

SchemaState = Literal["draft", "active", "deprecated", "disabled", "archived"]
"""The states of a schema: `set_state` says which moves there are."""

SchemaStates = Sequence[SchemaState] | AbstractSet[SchemaState]
"""Some of them, in any order."""

SCHEMA_STATES: tuple[SchemaState, ...] = get_args(SchemaState)

SCHEMA_MOVES: Mapping[SchemaState, frozenset[SchemaState]] = {
    "draft": frozenset({"active", "archived"}),
    "active": frozenset({"deprecated", "disabled", "archived"}),
    "deprecated": frozenset({"active", "disabled", "archived"}),
    "disabled": frozenset({"active", "archived"}),
    "archived": frozenset(),
}

SCHEMA_ORIGINS: Mapping[SchemaState, tuple[SchemaState, ...]] = {
    state: tuple(origin for origin, targets in SCHEMA_MOVES.items() if state in targets) for state in SCHEMA_STATES
}
"""The states from which each may be reached."""

LATEST_STATES: tuple[SchemaState, ...] = ("active", "deprecated")
"""The states that "latest" considers unless told otherwise."""


def check_state(state: object, *, place: str = "state") -> SchemaState:
    """`state` if it is one. ValidationError otherwise."""
    for known in SCHEMA_STATES:
        if isinstance(state, str) and state == known:
            return known
    expected = ", ".join(SCHEMA_STATES)
    raise ValidationError(f"unknown state {shown(state)}; expected one of {expected}", place=place)


def check_states(states: SchemaStates | None) -> tuple[SchemaState, ...] | None:
    """The states in their canonical order, each once; None for None (any state)."""
    if states is None:
        return None
    if isinstance(states, (str, bytes, Mapping)) or not isinstance(states, Collection):
        raise ValidationError(f"states must be a collection of states, not {shown(states)}", place="states")
    wanted = {check_state(state, place="states") for state in states}
    return tuple(state for state in SCHEMA_STATES if state in wanted)


def wanted_states(states: SchemaStates | None) -> tuple[SchemaState, ...]:
    """As `check_states`, with every state for None."""
    checked = check_states(states)
    return SCHEMA_STATES if checked is None else checked


def check_move(current: SchemaState, wanted: SchemaState, *, key: str | None = None) -> None:
    """ConflictError unless the lifecycle has the move `current` → `wanted`."""
    if wanted not in SCHEMA_MOVES[current]:
        legal = ", ".join(sorted(SCHEMA_MOVES[current])) or "nothing, because it is final"
        raise ConflictError(f"a schema in state {current} cannot move to {wanted}; it can move to {legal}", key=key)
