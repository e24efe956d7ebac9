"""The states of what a store keeps, and the moves between them. Each store that has states names its own."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Generic, TypeVar

from tierstore.errors import ConflictError, ValidationError
from tierstore.plan.arguments import shown

S = TypeVar("S", bound=str)


class Lifecycle(Generic[S]):
    """`moves`: each state, in canonical order, and the states that it may become. `noun`: what has them, for errors."""

    def __init__(self, noun: str, moves: Mapping[S, Collection[S]]) -> None:
        self._noun = noun
        self._moves = moves
        self.states: tuple[S, ...] = tuple(moves)
        self.origins: Mapping[S, tuple[S, ...]] = {
            state: tuple(origin for origin, targets in moves.items() if state in targets) for state in self.states
        }
        """The states from which each may be reached."""

    def check_state(self, state: object, *, place: str = "state") -> S:
        """`state` if it is one. ValidationError otherwise."""
        for known in self.states:
            if isinstance(state, str) and state == known:
                return known
        expected = ", ".join(self.states)
        raise ValidationError(f"unknown state {shown(state)}; expected one of {expected}", place=place)

    def check_states(self, states: Sequence[S] | AbstractSet[S] | None) -> tuple[S, ...] | None:
        """The states in their canonical order, each once; None for None (any state)."""
        if states is None:
            return None
        if isinstance(states, (str, bytes, Mapping)) or not isinstance(states, Collection):
            raise ValidationError(f"states must be a collection of states, not {shown(states)}", place="states")
        wanted = {self.check_state(state, place="states") for state in states}
        return tuple(state for state in self.states if state in wanted)

    def wanted_states(self, states: Sequence[S] | AbstractSet[S] | None) -> tuple[S, ...]:
        """As `check_states`, with every state for None."""
        checked = self.check_states(states)
        return self.states if checked is None else checked

    def check_move(self, current: S, wanted: S, *, key: str | None = None) -> None:
        """ConflictError unless there is the move `current` → `wanted`."""
        if wanted not in self._moves[current]:
            legal = ", ".join(sorted(self._moves[current])) or "nothing, because it is final"
            text = f"a {self._noun} in state {current} cannot move to {wanted}; it can move to {legal}"
            raise ConflictError(text, key=key)
