"""Constraints on versions: which versions of a module another one takes.

    1.2.3          that version alone; =1.2.3 is the same
    ^1.2           from 1.2.0 on, below 2.0.0: the first part that is not zero stays (^0.2 is below 0.3.0)
    ~1.2.3         from 1.2.3 on, below 1.3.0
    1.x, 1.2.*, *  whatever stands in place of the x; 1 and 1.2 are the same as 1.x and 1.2.x
    >=1 <2         all parts hold, separated by spaces; also >, <= and =
    latest         the highest release that there is, or the highest pre-release where there is no release

They mean what they mean to npm (github.com/npm/node-semver, "Ranges"), where `latest` is no range. A pre-release is taken only where the
constraint names one of the same three parts: ^1.2.0-rc.1 takes 1.2.0-rc.2, and not 1.3.0-rc.1. Build metadata counts for nothing.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, NoReturn

from tierstore._native import Version
from tierstore.errors import ValidationError, raise_alone
from tierstore.plan.arguments import shown
from tierstore.plan.paging import MAX_COUNT
from tierstore.plan.values import check_name

Point = tuple[int, int, int, bytes, int]
"""A place in the order of versions: three parts, the key of the pre-release, and 0 just before that version or 1 just behind it."""
Triple = tuple[int, int, int]

MAX_CONSTRAINT_CHARACTERS: Final = 1_024
FORMS: Final = "1.2.3, ^1.2, ~1.2.3, 1.x, >=1 <2, latest"
RELEASE: Final = b"\xff"
"""The key of a release, behind those of its pre-releases."""
BEFORE_PRERELEASES: Final = b""
BOTTOM: Final[Point] = (0, 0, 0, BEFORE_PRERELEASES, 0)
TOP: Final[Point] = (MAX_COUNT + 1, 0, 0, BEFORE_PRERELEASES, 0)

_PART = re.compile(r" *(?P<operator>\^|~|>=|<=|>|<|=|) *(?P<version>[^\s<>=^~|,]+)")
_PARTIAL = re.compile(r"(\d+|[xX*])(?:\.(\d+|[xX*]))?(?:\.([xX*]))?", re.ASCII)
_LEADING_ZERO = re.compile(r"(?:^|\.)0\d")
_HINTS = (
    (re.compile(r"\|"), "alternatives with || are not supported"),
    (re.compile(r","), "separate the parts with spaces instead of commas"),
    (re.compile(r" - ?| -$"), "write >=1.2 <2 instead of a range with a hyphen"),
    (re.compile(r"(?<![\w.+-])[vV](?=\d)"), "write the version without the v"),
)


@dataclass(frozen=True, slots=True)
class Constraint:
    """`text` is canonical, and reads back as the same constraint. `low` belongs to the range, `high` does not.

    `named`: the three parts of each pre-release that it names.
    """

    text: str
    low: Point = BOTTOM
    high: Point = TOP
    named: frozenset[Triple] = frozenset()
    is_latest: bool = False

    def __str__(self) -> str:
        return self.text


LATEST: Final = Constraint("latest", is_latest=True)


class _Range(NamedTuple):
    """One part of a constraint."""

    text: str
    low: Point
    high: Point
    named: frozenset[Triple] = frozenset()


class VersionList:
    """The versions of one module, ascending. A set of them is a number whose bit i stands for `versions[i]`."""

    def __init__(self, versions: Iterable[Version]) -> None:
        self.versions = sorted(versions)
        self._points = list(map(_point, self.versions))
        self._releases = sum(1 << index for index, point in enumerate(self._points) if point[3] == RELEASE)

    def __len__(self) -> int:
        return len(self.versions)

    def allowed(self, constraint: Constraint) -> int:
        """The set of those that `constraint` allows."""
        if constraint.is_latest:
            best = self._releases.bit_length() or len(self.versions)
            return 1 << best - 1 if best else 0
        eligible = self._releases
        for parts in constraint.named:
            eligible |= self._between((*parts, BEFORE_PRERELEASES, 0), (*parts, RELEASE, 0))
        return eligible & self._between(constraint.low, constraint.high)

    def _between(self, low: Point, high: Point) -> int:
        return (1 << bisect_left(self._points, high)) - (1 << bisect_left(self._points, low))


def exclude_each_other(constraints: Iterable[Constraint]) -> bool:
    """Whether the ranges have no place in common, so that no version, not even one to come, suits them all."""
    ranges = [each for each in constraints if not each.is_latest]
    return max((each.low for each in ranges), default=BOTTOM) >= min((each.high for each in ranges), default=TOP)


def parse_requires(requires: object, place: str = "requires") -> dict[str, Constraint]:
    """The constraint on each module that `requires` names, in the order of the names. ValidationError names the place of a bad one."""
    if not isinstance(requires, Mapping):
        raise ValidationError(
            f"{place} must be a mapping of module names to constraints, not {type(requires).__name__}", place=place
        )
    names = sorted(check_name(name, place) for name in requires)
    return {name: parse_constraint(requires[name], f"{place}[{shown(name)}]") for name in names}


def parse_constraint(text: object, place: str = "constraint") -> Constraint:
    """The constraint that `text` writes. ValidationError, with `place` and the column in the text, if it is none or allows no version."""
    if not isinstance(text, str):
        raise ValidationError(f"{place} must be str, not {type(text).__name__}", place=place)
    if not text.strip(" "):
        raise ValidationError(f"{place} must not be empty; write * for any release", place=place)
    if len(text) > MAX_CONSTRAINT_CHARACTERS:
        most = f"{place} must have at most {MAX_CONSTRAINT_CHARACTERS:,} characters, got {len(text):,}"
        raise ValidationError(most, place=place)
    if text.strip(" ") == LATEST.text:
        return LATEST
    return _joined(text, _parts(text, place), place)


def _joined(text: str, ranges: list[_Range], place: str) -> Constraint:
    low, high = max(each.low for each in ranges), min(each.high for each in ranges)
    if low >= high:
        raise ValidationError(f"no version satisfies {shown(text)}", place=place)
    said = [each.text for each in ranges if each.text != "*"] or ["*"]
    named = frozenset[Triple]().union(*(each.named for each in ranges))
    return Constraint(" ".join(said), low, high, named)


def _parts(text: str, place: str) -> list[_Range]:
    ranges, at, end = [], 0, len(text.rstrip(" "))
    while at < end:
        found = _PART.match(text, at)
        if found is None or (found.end() < end and text[found.end()] != " "):
            _refuse(text, found.end() if found else at, place)
        ranges.append(_range(found, text, place))
        at = found.end()
    return ranges


def _refuse(text: str, at: int, place: str) -> NoReturn:
    """Say what is wrong, and where: with what people often mean, where that is seen."""
    said = f"expected one of the forms {FORMS}"
    for pattern, hint in _HINTS:
        if found := pattern.search(text):
            said, at = hint, found.end() - len(found[0].lstrip())
            break
    raise_alone(ValidationError(f"{shown(text)} is not a constraint: {said}", place=f"{place}, column {at + 1}"))


def _range(found: re.Match[str], text: str, place: str) -> _Range:
    operator, written = found["operator"], found["version"]
    partial = _PARTIAL.fullmatch(written)
    if partial is None:
        return _whole(operator, _version(found, text, place))
    numbers = [part if part.isdigit() else None for part in partial.groups() if part is not None]
    parts = [int(part) for part in numbers if part is not None]
    is_first = None not in numbers[: len(parts)]
    if not is_first or _LEADING_ZERO.search(written) or any(part > MAX_COUNT for part in parts):
        _refuse(text, found.start("version"), place)
    return _open(operator, parts, text, place)


def _version(found: re.Match[str], text: str, place: str) -> Version:
    try:
        return Version(found["version"])
    except ValidationError:
        _refuse(text, found.start("version"), place)


def _whole(operator: str, version: Version) -> _Range:
    """The range of an operator before a version with three parts."""
    before = _point(version)
    behind: Point = (*before[:4], 1)
    parts = before[:3]
    said = f"{operator.strip('=') if operator == '=' else operator}{str(version).split('+', 1)[0]}"
    ends: dict[str, tuple[Point, Point]] = {
        "": (before, behind),
        "=": (before, behind),
        "^": (before, _end(parts, _kept(parts))),
        "~": (before, _end(parts, 1)),
        ">=": (before, TOP),
        ">": (behind, TOP),
        "<": (BOTTOM, before),
        "<=": (BOTTOM, behind),
    }
    return _Range(said, *ends[operator], frozenset([parts] if version.prerelease else []))


def _open(operator: str, parts: list[int], text: str, place: str) -> _Range:
    """The range of an operator before a version that leaves parts open: 1.x, ^1, >=1.2, *."""
    if not parts:
        if operator in ("<", ">"):
            raise ValidationError(f"no version satisfies {shown(text)}", place=place)
        return _Range("*", BOTTOM, TOP)
    number = ".".join(map(str, parts))
    first: Point = (*_padded(parts), RELEASE, 0)
    end = _end(parts, len(parts) - 1)
    ends: dict[str, tuple[str, Point, Point]] = {
        "": (f"{number}.x", first, end),
        "=": (f"{number}.x", first, end),
        "^": (f"^{number}", first, _end(parts, _kept(parts))),
        "~": (f"~{number}", first, end),
        ">=": (f">={number}", first, TOP),
        ">": (f">{number}", (*end[:3], RELEASE, 0), TOP),
        "<": (f"<{number}", BOTTOM, (*first[:3], BEFORE_PRERELEASES, 0)),
        "<=": (f"<={number}", BOTTOM, end),
    }
    return _Range(*ends[operator])


def _kept(parts: Sequence[int]) -> int:
    """Which part a caret keeps: the first that is not zero, else the last one written."""
    return next((index for index, part in enumerate(parts) if part), len(parts) - 1)


def _end(parts: Sequence[int], index: int) -> Point:
    """Before all versions in which the part at `index` is one higher."""
    known = [*parts[: index + 1]]
    known[index] += 1
    return (*_padded(known), BEFORE_PRERELEASES, 0)


def _padded(parts: list[int]) -> Triple:
    major, minor, patch = (*parts, 0, 0)[:3]
    return major, minor, patch


def _point(version: Version) -> Point:
    return version.major, version.minor, version.patch, version.key, 0
