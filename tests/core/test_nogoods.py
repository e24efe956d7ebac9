"""The search, against trying everything: nogoods come at any moment, and nothing is struck out that a solution needs."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Sequence

import pytest

from tierstore.plan.nogoods import Search, StepLimitError

SEEDS = 800
VARIABLES, VALUES = 5, 3
Terms = dict[int, int]


def a_nogood(rng: random.Random) -> Terms:
    variables = rng.sample(range(VARIABLES), rng.choice((1, 2, 2, 2, 3, 3, 4)))
    return {each: rng.randrange(1, 1 << VALUES) for each in variables}


def solutions(nogoods: Sequence[Terms]) -> list[tuple[int, ...]]:
    """In the order of preference: the highest values first."""
    every = itertools.product(reversed(range(VALUES)), repeat=VARIABLES)
    return [each for each in every if not any(holds(nogood, each) for nogood in nogoods)]


def holds(nogood: Terms, values: tuple[int, ...]) -> bool:
    return all(held >> values[variable] & 1 for variable, held in nogood.items())


class Played:
    """A search in which each variable is decided after the one before it, with some nogoods held back until later."""

    def __init__(self, seed: int, limit: int = 100_000) -> None:
        self.rng = random.Random(seed)
        self.search = Search(limit)
        self.given: list[Terms] = []
        self.numbers: dict[int, Terms] = {}
        self.waiting = [a_nogood(self.rng) for _ in range(self.rng.randint(4, 30))]
        self.proof: frozenset[int] | None = None
        for _ in range(VARIABLES):
            self.search.add_variable((1 << VALUES) - 1)

    def run(self) -> tuple[int, ...] | None:
        while True:
            self.give(self.rng.choice((0, 0, 1, 3, len(self.waiting))))
            if (proof := self.search.propagate()) is not None:
                self.proof = proof
                return None
            self.check()
            if self.search.level < VARIABLES:
                variable = self.search.level
                self.search.decide(variable, self.search.domains[variable].bit_length() - 1)
            elif not self.waiting:
                return tuple(domain.bit_length() - 1 for domain in self.search.domains)

    def give(self, count: int) -> None:
        for _ in range(min(count, len(self.waiting))):
            nogood = self.waiting.pop()
            number = self.search.forbid(nogood)
            assert number is not None
            self.numbers[number] = nogood
            self.given.append(nogood)

    def check(self) -> None:
        """What the decisions that stand leave of the solutions lies within the domains."""
        decided = [step for step in self.search._trail if step.cause is None]
        for values in solutions(self.given):
            if all(step.kept >> values[step.variable] & 1 for step in decided):
                assert all(domain >> value & 1 for domain, value in zip(self.search.domains, values, strict=True))


def first(found: Iterable[tuple[int, ...]]) -> tuple[int, ...] | None:
    return next(iter(found), None)


def test_the_first_solution_is_found_or_a_proof_that_there_is_none() -> None:
    solved = 0
    for seed in range(SEEDS):
        played = Played(seed)
        found = played.run()
        solved += found is not None
        assert found == first(solutions([*played.given, *played.waiting] if found else played.given)), seed
        if played.proof is not None:
            assert not solutions([played.numbers[number] for number in played.proof]), seed
    assert SEEDS * 0.2 < solved < SEEDS * 0.8


def test_a_nogood_that_can_never_hold_is_none() -> None:
    search = Search(10)
    variable = search.add_variable(0b11)
    assert search.forbid({variable: 0}) is None
    assert search.propagate() is None
    assert search.domains == [0b11]


def test_a_nogood_that_always_holds_is_the_proof() -> None:
    search = Search(10)
    number = search.forbid({search.add_variable(0b11): 0b11})
    assert search.propagate() == {number}


def test_the_work_is_bounded() -> None:
    search = Search(3)
    variables = [search.add_variable(0b11) for _ in range(9)]
    for one, other in itertools.pairwise(variables):
        search.forbid({one: 0b10, other: 0b01})
    search.decide(variables[0], 1)
    with pytest.raises(StepLimitError):
        search.propagate()
