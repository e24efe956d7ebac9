"""Why there is no choice of versions: a conflict that a person can follow, out of the requirements that prove it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from tierstore.errors import ResolutionError
from tierstore.plan.constraints import Constraint, exclude_each_other
from tierstore.plan.lockfile import Requirement, node
from tierstore.plan.universe import Universe

SHOWN_CHAINS: Final = 8
SHOWN_STEPS: Final = 4
"""Of a longer chain that many at both ends."""
MAX_WALKS: Final = 64


class Ask(NamedTuple):
    """Some versions of `name`, a set, require of `target` what `constraint` says."""

    name: str
    versions: int
    target: str
    constraint: Constraint


class _Met(NamedTuple):
    """An ask of the version of `asker` that a walk chose."""

    asker: str
    version: int
    constraint: Constraint


def conflict(universe: Universe, proof: Sequence[Ask]) -> ResolutionError:
    """The error for asks that cannot all be met: the first module that they do not agree on, on the way of the highest versions."""
    asks: dict[str, list[Ask]] = {}
    for ask in sorted(proof, key=lambda ask: (ask.name, ask.target, ask.constraint.text)):
        asks.setdefault(ask.name, []).append(ask)
    hints: dict[str, int] = {}
    for _ in range(MAX_WALKS):
        walk = _Walk(universe, asks, hints)
        if (module := walk.contested()) is not None:
            return _contested(universe, walk, module)
        hints = hints | walk.left
    return _several(universe, [ask for each in asks.values() for ask in each])


class _Walk:
    """From the root on through the asks of a proof, choosing the highest version each time.

    `left`: the versions of each module that all who asked for it allow; some exclude one that was chosen before they asked. `hints`: what
    the walks before were left with, to choose from where that is possible.
    """

    def __init__(self, universe: Universe, asks: dict[str, list[Ask]], hints: dict[str, int]) -> None:
        self._universe = universe
        self._asks = asks
        self._hints = hints
        self.left: dict[str, int] = {universe.root: 1}
        self.met: dict[str, list[_Met]] = {}

    def contested(self) -> str | None:
        """The first module of which no version is left; None if each has one, though not always the chosen one."""
        queue = [self._universe.root]
        for name in queue:
            left = self.left[name]
            version = (left & self._hints.get(name, left) or left).bit_length() - 1
            for ask in self._asks.get(name, ()):
                if ask.versions >> version & 1:
                    if ask.target not in self.left:
                        queue.append(ask.target)
                    if not self._meet(ask, version):
                        return ask.target
        return None

    def _meet(self, ask: Ask, version: int) -> int:
        """What is left of the target."""
        everything = (1 << self._universe.count(ask.target)) - 1
        left = self.left.get(ask.target, everything) & self._universe.allowed(ask.target, ask.constraint)
        self.left[ask.target] = left
        self.met.setdefault(ask.target, []).append(_Met(ask.name, version, ask.constraint))
        return left

    def chain(self, met: _Met, target: str) -> tuple[Requirement, ...]:
        """From the root to this ask, each module by the first that asked for it."""
        steps = [self._universe.requirement(met.asker, met.version, target)]
        while met.asker != self._universe.root:
            target, met = met.asker, self.met[met.asker][0]
            steps.append(self._universe.requirement(met.asker, met.version, target))
        return tuple(reversed(steps))


def _contested(universe: Universe, walk: _Walk, module: str) -> ResolutionError:
    met = _needed(universe, module, walk.met[module])
    chains = tuple(walk.chain(each, module) for each in met)
    text = f"{_root(universe)} cannot be resolved: {_why(universe, module, [each.constraint for each in met])}"
    askers = {step.by.rpartition("@")[0] for chain in chains for step in chain}
    return _error(text, module, chains, is_best=any(universe.count(each) > 1 for each in askers))


def _needed(universe: Universe, module: str, met: list[_Met]) -> list[_Met]:
    """A part of the asks that leaves nothing, and would leave something without any one of them."""
    kept = list({each.constraint: each for each in reversed(met)}.values())
    for each in list(kept):
        left = (1 << universe.count(module)) - 1
        for other in kept:
            if other is not each:
                left &= universe.allowed(module, other.constraint)
        if not left:
            kept.remove(each)
    return kept[::-1]


def _why(universe: Universe, module: str, constraints: list[Constraint]) -> str:
    said = " and ".join(each.text for each in constraints)
    if exclude_each_other(constraints):
        return f"no version of {module} can satisfy {said}"
    return f"no version of {module} satisfies {said}; {_available(universe, module)}"


def _available(universe: Universe, module: str) -> str:
    count = universe.count(module)
    if module == universe.root:
        return f"it is the root itself, {universe.version(module, 0)}"
    if count == 1:
        return f"there is only {universe.version(module, 0)}"
    return f"there are {count:,} versions from {universe.version(module, 0)} to {universe.version(module, count - 1)}"


def _several(universe: Universe, asks: list[Ask]) -> ResolutionError:
    """Where following the highest versions goes round in circles: the requirements themselves."""
    steps = [(universe.requirement(ask.name, ask.versions.bit_length() - 1, ask.target),) for ask in asks]
    text = f"{_root(universe)} cannot be resolved: no choice of versions satisfies all of these requirements"
    return _error(text, None, tuple(steps), is_best=False)


def _error(
    text: str, module: str | None, chains: tuple[tuple[Requirement, ...], ...], *, is_best: bool
) -> ResolutionError:
    """`is_best`: whether the chains are those of the highest versions, of several that come to nothing."""
    lines = [text, *(f"  {_sentence(chain)}" for chain in chains[:SHOWN_CHAINS])]
    if len(chains) > SHOWN_CHAINS:
        lines.append(f"  and {len(chains) - SHOWN_CHAINS:,} more")
    if is_best:
        lines.append("Other versions of those that ask were tried, and none fits")
    return ResolutionError("\n".join(lines), module=module, chains=chains)


def _sentence(chain: tuple[Requirement, ...]) -> str:
    steps = [f"{step.by} asks for {step.module} {step.constraint}" for step in chain]
    if len(steps) > 2 * SHOWN_STEPS:
        steps[SHOWN_STEPS:-SHOWN_STEPS] = [f"{len(steps) - 2 * SHOWN_STEPS:,} more steps"]
    return ", ".join(steps)


def _root(universe: Universe) -> str:
    return node(universe.root, universe.version(universe.root, 0))
