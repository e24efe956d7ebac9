"""One version of each module that a module needs, such that all constraints hold.

A `Resolution` does no I/O. It says which modules it wants to know next, as many at a time as it can, and is told:

    resolution = Resolution("acme/app", Version("1.0.0"), {"acme/common": "^1.2"})
    while names := resolution.wanted():
        resolution.learn(await offers_of(names))        # {name: [Offer(version, requires), ...]}
    resolution.result()

strategy="highest": modules are chosen from in the order of their distance from the root, then by name of the one that requires them and by
their own; each gets the highest version with which the rest can still be solved. If there is a solution, it is found, or the search ends at
its limit and says so.

strategy="minimal": minimal version selection as Go has it (research.swtch.com/vgo-mvs, algorithm 1): the highest of the lowest versions
that the requirements met on the way allow. Where what comes out breaks a constraint, which only one with an upper limit can be, the search
above decides, with the lowest versions first.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from typing import Final, Literal, NamedTuple

from tierstore._native import Version
from tierstore.errors import ResolutionError, ValidationError, raise_alone
from tierstore.plan.arguments import shown
from tierstore.plan.conflicts import Ask, conflict
from tierstore.plan.constraints import Constraint, parse_requires
from tierstore.plan.lockfile import Requirement, node
from tierstore.plan.nogoods import Search, StepLimitError
from tierstore.plan.universe import Offer, Universe
from tierstore.plan.values import check_name

Strategy = Literal["highest", "minimal"]
STRATEGIES: Final = ("highest", "minimal")
MAX_WORK: Final = 1_000_000
"""How many nogoods a search may look at: about two seconds."""
ABSENT: Final = 0
"""The value of a module of which no version is chosen; version i has the value i + 1."""

Choice = dict[str, int]
"""The index of the version of each module that was chosen."""
Wants = Generator[tuple[str, ...], None, Choice | None]
"""Gives the names of modules of which it must know more before it goes on."""


class Resolved(NamedTuple):
    """`versions`: of each module but the root, by name. `missing`: requirements on modules of which there is no version."""

    versions: Mapping[str, str]
    missing: tuple[Requirement, ...]


class Resolution:
    """A resolution that is under way. `limit`: how much work it may do before it gives up."""

    def __init__(
        self,
        name: str,
        version: Version,
        requires: Mapping[str, str],
        *,
        strategy: Strategy = "highest",
        limit: int = MAX_WORK,
    ) -> None:
        if strategy not in STRATEGIES:
            expected = " or ".join(map(repr, STRATEGIES))
            raise ValidationError(f"strategy must be {expected}, got {shown(strategy)}", place="strategy")
        self._universe = Universe(check_name(name, "name"), version, parse_requires(requires))
        self._limit = limit
        self._choice: Choice | None = None
        self._steps = self._run(strategy)

    def wanted(self) -> tuple[str, ...]:
        """The modules to learn of next; none when there is a result. ResolutionError where no choice of versions suits all."""
        return next(self._steps, ())

    def learn(self, offers: Mapping[str, Iterable[Offer]]) -> None:
        """What the versions of some modules are: none, for a module that there is not. What was wanted and is left out is wanted again;
        more than that saves a question later. The root is known already."""
        for name, each in offers.items():
            self._universe.add(name, each)

    def result(self) -> Resolved:
        """What was chosen, once nothing more is wanted."""
        if self._choice is None:
            raise RuntimeError("result() was called while modules are wanted")
        known, choice = self._universe, self._choice
        versions = {name: known.version(name, index) for name, index in sorted(choice.items()) if name != known.root}
        missing = [
            known.requirement(name, index, target)
            for name, index in sorted(choice.items())
            for target in known.requires(name, index)
            if not known.count(target)
        ]
        return Resolved(versions, tuple(missing))

    def _run(self, strategy: Strategy) -> Generator[tuple[str, ...], None, None]:
        if strategy == "minimal":
            self._choice = yield from _minimal(self._universe)
        if self._choice is None:
            self._choice = yield from _Agreement(self._universe, strategy, self._limit).run()


class _Agreement:
    """The search for one version a module. Its levels are the modules of `_queue`, in order: each decision is for one."""

    def __init__(self, universe: Universe, strategy: Strategy, limit: int) -> None:
        self._universe = universe
        self._is_lowest_first = strategy == "minimal"
        self._search = Search(limit)
        self._limit = limit
        self._variables: dict[str, int] = {}
        self._asks: dict[int, Ask] = {}
        """What each nogood stands for."""
        self._waiting: dict[str, list[Ask]] = {}
        """Requirements on modules that have no variable yet."""
        self._queue = [universe.root]
        self._queued = {universe.root}
        self._lengths: list[int] = []
        """Of the queue before each decision."""
        self._values: list[int] = []

    def run(self) -> Wants:
        self._enter(self._universe.root)
        self._search.forbid({self._variables[self._universe.root]: 1 << ABSENT})
        while True:
            self._propagate()
            if self._search.level == len(self._queue):
                return {name: value - 1 for name, value in zip(self._queue, self._values, strict=True) if value}
            name = self._queue[self._search.level]
            if name in self._variables:
                self._decide(name)
                continue
            ahead = [each for each in self._queue if each not in self._variables]
            while wanted := self._universe.unknown(ahead):
                yield wanted
            for each in ahead:
                self._enter(each)

    def _propagate(self) -> None:
        try:
            proof = self._search.propagate()
        except StepLimitError:
            raise_alone(self._gave_up())
        if proof is not None:
            raise conflict(self._universe, [self._asks[number] for number in sorted(proof) if number in self._asks])
        if (level := self._search.level) < len(self._lengths):
            self._queued.difference_update(self._queue[self._lengths[level] :])
            del self._queue[self._lengths[level] :], self._lengths[level:], self._values[level:]

    def _gave_up(self) -> ResolutionError:
        root = node(self._universe.root, self._universe.version(self._universe.root, 0))
        return ResolutionError(
            f"{root} cannot be resolved: no choice of versions was found in {self._limit:,} steps, though there may be one. "
            "Narrower constraints leave less to try",
            gave_up=True,
        )

    def _decide(self, name: str) -> None:
        domain = self._search.domains[self._variables[name]]
        value = (domain & -domain if self._is_lowest_first else domain).bit_length() - 1
        self._search.decide(self._variables[name], value)
        self._lengths.append(len(self._queue))
        self._values.append(value)
        if value != ABSENT:
            fresh = [each for each in self._universe.requires(name, value - 1) if each not in self._queued]
            self._queue.extend(fresh)
            self._queued.update(fresh)

    def _enter(self, name: str) -> None:
        """Make the module's variable, and the nogoods of what it requires and of who requires it."""
        count = self._universe.count(name)
        self._variables[name] = self._search.add_variable((2 << count) - 1)
        groups: dict[tuple[str, Constraint], int] = {}
        for index in range(count):
            for each in self._universe.requires(name, index).items():
                groups[each] = groups.get(each, 0) | 1 << index
        for (target, constraint), versions in groups.items():
            self._ask(Ask(name, versions, target, constraint))
        for ask in self._waiting.pop(name, ()):
            self._ask(ask)

    def _ask(self, ask: Ask) -> None:
        if ask.target not in self._variables:
            self._waiting.setdefault(ask.target, []).append(ask)
        elif self._universe.count(ask.target):
            variable, target = self._variables[ask.name], self._variables[ask.target]
            allowed = self._universe.allowed(ask.target, ask.constraint) << 1
            terms = {target: self._search.full[target] ^ allowed}
            terms[variable] = terms.get(variable, self._search.full[variable]) & ask.versions << 1
            if (number := self._search.forbid(terms)) is not None:
                self._asks[number] = ask


def _minimal(universe: Universe) -> Wants:
    """Go's minimal version selection; None where what it selects does not suit all."""
    selected: Choice = {universe.root: 0}
    seen = set(frontier := [(universe.root, 0)])
    while frontier:
        while wanted := universe.unknown(target for each in frontier for target in universe.requires(*each)):
            yield wanted
        found: dict[tuple[str, int], None] = {}
        for each in frontier:
            for target, constraint in _present(universe, *each):
                if not (allowed := universe.allowed(target, constraint)):
                    return None
                lowest = (allowed & -allowed).bit_length() - 1
                selected[target] = max(selected.get(target, 0), lowest)
                found[target, lowest] = None
        frontier = [each for each in found if each not in seen]
        seen.update(frontier)
    return _reached(universe, selected)


def _reached(universe: Universe, selected: Choice) -> Choice | None:
    """The part of `selected` that the root needs; None if it breaks a constraint."""
    reached, waiting = {universe.root: 0}, [universe.root]
    while waiting:
        name = waiting.pop()
        for target, constraint in _present(universe, name, selected[name]):
            if not universe.allowed(target, constraint) >> selected[target] & 1:
                return None
            if target not in reached:
                reached[target] = selected[target]
                waiting.append(target)
    return reached


def _present(universe: Universe, name: str, index: int) -> list[tuple[str, Constraint]]:
    """What a version requires of modules that there are."""
    return [each for each in universe.requires(name, index).items() if universe.count(each[0])]
