"""Small worlds of modules for tests of resolution, and slow answers to what is to be found in them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from itertools import combinations

from tierstore._native import Version
from tierstore.plan.constraints import VersionList, parse_constraint
from tierstore.plan.resolve import MAX_WORK, Offer, Resolution, Resolved, Strategy

Modules = Mapping[str, Mapping[str, Mapping[str, str]]]
"""What each version of each module requires."""
ROOT = "app"
ROOT_VERSION = "1.0.0"
VERSIONS = ("1.0.0", "1.1.0", "1.2.0-rc.1", "1.2.0", "2.0.0-beta", "2.0.0", "2.1.0")
CONSTRAINTS = (
    "*",
    "^1",
    "^2",
    "~1.1",
    "1.0.0",
    "1.x",
    ">=1.1",
    ">=1.1 <2.1",
    "<2",
    "2.0.0",
    "^1.2.0-rc.1",
    "latest",
    "3.x",
)


def resolve(
    requires: Mapping[str, str], modules: Modules, strategy: Strategy = "highest", limit: int = MAX_WORK
) -> tuple[Resolved, list[tuple[str, ...]]]:
    """The answer for a root that requires this, and what was asked for, batch by batch."""
    resolution = Resolution(ROOT, Version(ROOT_VERSION), requires, strategy=strategy, limit=limit)
    batches = []
    while names := resolution.wanted():
        batches.append(names)
        resolution.learn({name: offers(modules.get(name, {})) for name in names})
    return resolution.result(), batches


def offers(versions: Mapping[str, Mapping[str, str]]) -> list[Offer]:
    return [Offer(Version(version), requires) for version, requires in versions.items()]


def made(rng: random.Random) -> tuple[Mapping[str, str], Modules]:
    """A random world: cycles, missing modules and requirements on the root or on oneself among it."""
    names = [f"m{number}" for number in range(rng.randint(1, 5))]
    targets = [*names, *names, *names, ROOT, "gone"]

    def some(most: int) -> dict[str, str]:
        return {rng.choice(targets): rng.choice(CONSTRAINTS) for _ in range(rng.randint(0, most))}

    modules = {name: {version: some(3) for version in rng.sample(VERSIONS, rng.randint(1, 4))} for name in names}
    return {rng.choice(names): rng.choice(CONSTRAINTS[:9]) for _ in range(rng.randint(1, 3))}, modules


class Judge:
    """Tries everything, by texts alone."""

    def __init__(self, requires: Mapping[str, str], modules: Modules) -> None:
        self.modules = {**modules, ROOT: {ROOT_VERSION: requires}}
        self.order = {name: sorted(each, key=Version) for name, each in self.modules.items()}

    def fits(self, name: str, version: str, constraint: str) -> bool:
        listed = VersionList(map(Version, self.order[name]))
        return bool(listed.allowed(parse_constraint(constraint)) >> self.order[name].index(version) & 1)

    def requires(self, name: str, version: str) -> dict[str, str]:
        """Of modules that there are, by name."""
        return {each: text for each, text in sorted(self.modules[name][version].items()) if each in self.modules}

    def holds(self, chosen: Mapping[str, str]) -> bool:
        """Whether no requirement among these is broken."""
        return all(
            target not in chosen or self.fits(target, chosen[target], constraint)
            for name, version in chosen.items()
            for target, constraint in self.requires(name, version).items()
        )

    def is_whole(self, chosen: Mapping[str, str]) -> bool:
        """Whether it has what the root needs, all of it and nothing else."""
        reached, waiting = {ROOT}, [ROOT]
        while waiting:
            name = waiting.pop()
            fresh = [each for each in self.requires(name, chosen[name]) if each not in reached]
            if not all(each in chosen for each in fresh):
                return False
            reached.update(fresh)
            waiting.extend(fresh)
        return reached == set(chosen)

    def first(self, *, is_lowest_first: bool = False) -> dict[str, str] | None:
        """The first solution, a module after another in the order in which they are met, the preferred version first."""
        return next(self._solutions({}, [ROOT], is_lowest_first), None)

    def _solutions(self, chosen: dict[str, str], queue: list[str], is_lowest_first: bool) -> Iterator[dict[str, str]]:
        if len(chosen) == len(queue):
            yield chosen
            return
        name = queue[len(chosen)]
        for version in self.order[name] if is_lowest_first else reversed(self.order[name]):
            more = {**chosen, name: version}
            if self.holds(more):
                fresh = [each for each in self.requires(name, version) if each not in queue]
                yield from self._solutions(more, [*queue, *fresh], is_lowest_first)

    def has_solution(self) -> bool:
        """By every subset of all versions, for very small worlds."""
        every = [(name, version) for name, order in self.order.items() for version in order]
        sizes = range(1, len(self.order) + 1)
        candidates = (dict(some) for size in sizes for some in combinations(every, size) if len(dict(some)) == size)
        return any(each.get(ROOT) and self.is_whole(each) and self.holds(each) for each in candidates)

    def minimal(self) -> dict[str, str] | None:
        """Go's selection: the highest of the lowest versions over all that is met; None where it breaks a constraint."""
        met, grew = {(ROOT, ROOT_VERSION)}, True
        while grew:
            asked = [each for name, version in met for each in self.requires(name, version).items()]
            lowest = {(target, self._lowest(target, constraint)) for target, constraint in asked}
            if any(version is None for _, version in lowest):
                return None
            grew = not lowest <= met
            met |= lowest
        best = {name: max((v for each, v in met if each == name), key=Version) for name, _ in met}
        return self._needed(best) if self.holds(self._needed(best)) else None

    def _lowest(self, name: str, constraint: str) -> str | None:
        return next((version for version in self.order[name] if self.fits(name, version, constraint)), None)

    def _needed(self, chosen: Mapping[str, str]) -> dict[str, str]:
        reached, waiting = {ROOT: ROOT_VERSION}, [ROOT]
        while waiting:
            name = waiting.pop()
            for each in self.requires(name, chosen[name]):
                if each not in reached:
                    reached[each] = chosen[each]
                    waiting.append(each)
        return reached
