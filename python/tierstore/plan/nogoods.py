"""A search that learns, over variables with few values: what chooses one version a module.

A variable's domain is a set of values, written as a number whose bit i stands for value i. What is known are *nogoods*: terms
(variable, set) that must not all hold, where a term holds once the domain lies within the set. "Version 2 of a needs version 1 of b" is
the nogood {a in {2}, b not in {1}}.

Where all terms of a nogood hold but one, that one's values are struck out (`propagate`). Where all hold, there is a conflict: it is
resolved with the nogoods that made its terms hold, latest first, until what is left blames a decision. This new nogood is kept, and the
decisions behind the last one that it depends on are taken back (Marques-Silva and Sakallah, GRASP, 1999; pub's PubGrub does the same on
ranges of versions). So a conflict is met once, not once for each choice that has nothing to do with it. A nogood without terms is the proof
that there is no solution.

Nogoods may be added at any moment. What they strike out counts for the lowest level that makes them do so, and survives the return to
that level (Nadel and Ryvchin, Chronological Backtracking, 2018).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

Terms = Mapping[int, int]
"""Of a nogood: the set of each variable that it has to do with."""


class _Step(NamedTuple):
    """One narrowing of a domain. `cause`: the nogood that asked for it, None for a decision. `top`: the highest level up to here."""

    variable: int
    kept: int
    level: int
    cause: int | None
    position: int
    domain: int
    top: int


class StepLimitError(Exception):
    """The search looked at more nogoods than it may."""


class Search:
    """`level`: how many decisions stand. `work`: how many nogoods were looked at, never above `limit`."""

    def __init__(self, limit: int) -> None:
        self.full: list[int] = []
        self.domains: list[int] = []
        self.level = 0
        self.work = 0
        self._limit = limit
        self._nogoods: list[Terms] = []
        self._parents: list[tuple[int, ...]] = []
        """What each nogood was learned from; nothing for those that were given."""
        self._of: list[list[int]] = []
        self._trail: list[_Step] = []
        self._histories: list[list[_Step]] = []
        self._starts: list[int] = []
        """The length of the trail before each decision."""
        self._fresh: deque[int] = deque()
        """Nogoods to look at first."""
        self._due: dict[int, None] = {}
        """Variables whose nogoods are to be looked at, in order."""

    def add_variable(self, full: int) -> int:
        """A new variable whose values are the bits of `full`."""
        self.full.append(full)
        self.domains.append(full)
        self._of.append([])
        self._histories.append([])
        return len(self.full) - 1

    def forbid(self, terms: Terms) -> int | None:
        """The number of a new nogood; None if one of its sets is empty, so that it can never hold."""
        if not all(terms.values()):
            return None
        return self._add(terms, ())

    def decide(self, variable: int, value: int) -> None:
        """Take a value that is still in the variable's domain."""
        self._starts.append(len(self._trail))
        self.level += 1
        self._narrow(variable, 1 << value, self.level, None)

    def propagate(self) -> frozenset[int] | None:
        """Strike out what the nogoods forbid and take back decisions that lead nowhere.

        None if what stands has no conflict. Where there is no solution, the numbers of given nogoods that prove it.
        """
        while self._fresh or self._due:
            if self._fresh:
                conflict = self._first_conflict([self._fresh.popleft()])
            else:
                variable = next(iter(self._due))
                del self._due[variable]
                conflict = self._first_conflict(self._of[variable])
                if conflict is not None:
                    self._due[variable] = None
            if conflict is not None:
                learned = self._learn(conflict)
                if not self._nogoods[learned]:
                    return self._given(learned)
                self._fresh.extendleft((conflict, learned))
        return None

    def _first_conflict(self, numbers: Sequence[int]) -> int | None:
        """Look at nogoods up to the first whose terms all hold."""
        for number in numbers:
            self._count(1)
            if self._holds_after(number):
                return number
        return None

    def _add(self, terms: Terms, parents: tuple[int, ...]) -> int:
        number = len(self._nogoods)
        self._nogoods.append({each: held for each, held in terms.items() if held != self.full[each]})
        self._parents.append(parents)
        for variable in self._nogoods[number]:
            self._of[variable].append(number)
        self._fresh.append(number)
        return number

    def _holds_after(self, number: int) -> bool:
        """Whether all terms of the nogood hold. If all do but one, that one's values are struck out."""
        unsettled = None
        for variable, held in self._nogoods[number].items():
            domain = self.domains[variable]
            if domain & held == domain:
                continue
            if unsettled is not None or not domain & held:
                return False
            unsettled = variable
        if unsettled is None:
            return True
        terms = self._nogoods[number].items()
        level = max((self._first(each, held).top for each, held in terms if each != unsettled), default=0)
        self._narrow(unsettled, self.full[unsettled] ^ self._nogoods[number][unsettled], level, number)
        return False

    def _narrow(self, variable: int, kept: int, level: int, cause: int | None) -> None:
        before = self.domains[variable]
        if (domain := before & kept) == before:
            return
        history = self._histories[variable]
        top = max(level, history[-1].top) if history else level
        step = _Step(variable, kept, level, cause, len(self._trail), domain, top)
        self._trail.append(step)
        history.append(step)
        self.domains[variable] = domain
        self._due[variable] = None

    def _first(self, variable: int, held: int) -> _Step:
        """The step from which on the term holds."""
        history = self._histories[variable]
        return history[bisect_left(history, 1, key=lambda step: step.domain & held == step.domain)]

    def _learn(self, number: int) -> int:
        """The nogood that the conflict comes down to, with the trail cut to where it asks for something new."""
        terms: dict[int, int] = dict(self._nogoods[number])
        parents = [number]
        while terms:
            self._count(1)
            step = max((self._first(each, held) for each, held in terms.items()), key=lambda step: step.position)
            lower = self._level_without(terms, step)
            if step.cause is None or lower < step.level:
                self._return_to(lower)
                break
            parents.append(step.cause)
            self._resolve(terms, step)
        return number if len(parents) == 1 and terms else self._add(terms, tuple(parents))

    def _level_without(self, terms: Terms, last: _Step) -> int:
        """The level at which all terms hold but for what `last` did."""
        levels = [self._first(each, held).top for each, held in terms.items() if each != last.variable]
        if last.kept & ~terms[last.variable]:
            levels.append(self._first(last.variable, terms[last.variable] | ~last.kept).top)
        return max(levels, default=0)

    def _resolve(self, terms: dict[int, int], step: _Step) -> None:
        """Put the cause of `step` in place of what it did to the conflict."""
        assert step.cause is not None  # noqa: S101
        for variable, held in self._nogoods[step.cause].items():
            if variable != step.variable:
                terms[variable] = terms.get(variable, self.full[variable]) & held
        left = terms.pop(step.variable) | (self.full[step.variable] & ~step.kept)
        if left != self.full[step.variable]:
            terms[step.variable] = left

    def _return_to(self, level: int) -> None:
        """Take back the decisions above `level`, and with them what followed from them."""
        if level >= self.level:
            return
        undone = self._trail[self._starts[level] :]
        self._count(len(undone))
        for step in reversed(undone):
            history = self._histories[step.variable]
            history.pop()
            self.domains[step.variable] = history[-1].domain if history else self.full[step.variable]
        del self._trail[self._starts[level] :], self._starts[level:]
        self.level = level
        for step in undone:
            if step.level <= level:
                self._narrow(step.variable, step.kept, step.level, step.cause)

    def _given(self, number: int) -> frozenset[int]:
        """Those of the given nogoods from which this one was learned."""
        found, waiting = set[int](), [number]
        while waiting:
            each = waiting.pop()
            if each not in found:
                found.add(each)
                waiting.extend(self._parents[each])
        return frozenset(each for each in found if not self._parents[each])

    def _count(self, more: int) -> None:
        self.work += more
        if self.work > self._limit:
            raise StepLimitError
