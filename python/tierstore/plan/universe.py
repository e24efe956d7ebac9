"""What is known of the modules that a resolution may choose from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tierstore._native import Version
from tierstore.plan.constraints import Constraint, VersionList, parse_constraint
from tierstore.plan.lockfile import Requirement, node


class Offer(NamedTuple):
    """A version of a module that may be chosen, and the constraint on each module that it requires."""

    version: Version
    requires: Mapping[str, str]


class _Module(NamedTuple):
    versions: VersionList
    requires: tuple[Mapping[str, Constraint], ...]


class Universe:
    """Modules by name. A version is meant by its index among those of its module, ascending; a set of them is a number (`VersionList`)."""

    def __init__(self, root: str, version: Version, requires: Mapping[str, Constraint]) -> None:
        self.root = root
        self._modules = {root: _Module(VersionList([version]), (requires,))}
        self._constraints: dict[str, Constraint] = {}
        self._allowed: dict[tuple[str, str], int] = {}

    def add(self, name: str, offers: Iterable[Offer]) -> None:
        """What there is of a module: nothing, if there is no such module. What is known already stays."""
        if name not in self._modules:
            ordered = sorted(offers, key=lambda offer: offer.version)
            requires = tuple(self._read(name, offer) for offer in ordered)
            self._modules[name] = _Module(VersionList(offer.version for offer in ordered), requires)

    def unknown(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those of `names` that nothing is known of yet, sorted."""
        return tuple(sorted({name for name in names if name not in self._modules}))

    def count(self, name: str) -> int:
        """How many versions the module has; 0: there is none."""
        return len(self._modules[name].versions)

    def version(self, name: str, index: int) -> str:
        return str(self._modules[name].versions.versions[index])

    def requires(self, name: str, index: int) -> Mapping[str, Constraint]:
        """The constraint on each module that a version requires, in the order of the names."""
        return self._modules[name].requires[index]

    def allowed(self, name: str, constraint: Constraint) -> int:
        """The set of the module's versions that `constraint` allows."""
        key = name, constraint.text
        if (found := self._allowed.get(key)) is None:
            found = self._allowed[key] = self._modules[name].versions.allowed(constraint)
        return found

    def requirement(self, name: str, index: int, target: str) -> Requirement:
        """What a version requires of `target`, for people."""
        constraint = self._modules[name].requires[index][target]
        return Requirement(node(name, self.version(name, index)), target, constraint.text)

    def _read(self, name: str, offer: Offer) -> Mapping[str, Constraint]:
        return {target: self._constraint(name, offer, target) for target in sorted(offer.requires)}

    def _constraint(self, name: str, offer: Offer, target: str) -> Constraint:
        text = offer.requires[target]
        if (found := self._constraints.get(text)) is None:
            place = f"requires[{target!r}] of {node(name, str(offer.version))}"
            found = self._constraints[text] = parse_constraint(text, place)
        return found
