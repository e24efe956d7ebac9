"""Constraints on versions, judged by npm's own `semver` where npm has them."""

from __future__ import annotations

import contextlib
import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierstore._native import Version
from tierstore.errors import InvalidKeyError, ValidationError
from tierstore.plan.constraints import VersionList, exclude_each_other, parse_constraint, parse_requires

TABLE = json.loads((Path(__file__).parents[1] / "data" / "npm_ranges.json").read_text())
VERSIONS = [Version(text) for text in TABLE["versions"]]
NPM = {text: taken and int(taken, 16) for text, taken in TABLE["ranges"].items()}
ONLY_NPM = {"", " ", "1 - 2", "1.2.3 || 2", "v1.2.3", "^v1", "~>1.2"}
"""What npm takes and we do not."""
EMPTY = {
    ">*",
    ">x",
    ">X",
    "<*",
    "<x",
    "<X",
    "<0",
    "<0.0",
    "<0.x",
    "<0.0.x",
    "1.2.3 1.2.4",
    ">=2 <1",
    ">1.2 <=1.2",
    ">1.2 ~1.2",
}
EMPTY |= {">=1.2.3 <1.2.3-rc.1", ">1.2 <=1.2.3", ">1.2 <1.2.3-rc.1", "~1.2.3-rc.1 <1.2.3-rc.1"}
"""What npm takes to mean no version, and we refuse."""
TAKEN = [text for text, taken in NPM.items() if taken and text not in ONLY_NPM]


def allowed(constraint: str, *versions: str) -> list[str]:
    listed = VersionList(map(Version, versions))
    chosen = listed.allowed(parse_constraint(constraint))
    return [str(version) for index, version in enumerate(listed.versions) if chosen >> index & 1]


def taken(constraint: str) -> set[str]:
    return set(allowed(constraint, *map(str, VERSIONS)))


@pytest.mark.parametrize("text", [text for text in NPM if text not in ONLY_NPM | {"latest"}])
def test_what_npm_takes(text: str) -> None:
    """The same versions."""
    if NPM[text] is None:
        with pytest.raises(ValidationError, match="is not a constraint"):
            parse_constraint(text)
        return
    expected = {str(version) for index, version in enumerate(VERSIONS) if NPM[text] >> index & 1}
    if text in EMPTY:
        assert not expected
        with pytest.raises(ValidationError, match="no version satisfies"):
            parse_constraint(text)
        return
    assert taken(text) == expected


@pytest.mark.parametrize("text", TAKEN)
def test_the_canonical_text_means_the_same(text: str) -> None:
    first = parse_constraint(text)
    assert parse_constraint(first.text) == first
    assert taken(first.text) == taken(text)
    assert "  " not in first.text
    assert str(first) == first.text


CANONICAL = {
    "=1.2.3": "1.2.3",
    "1.2.3+build.7": "1.2.3",
    " ^ 1.2  <  1.9 ": "^1.2 <1.9",
    "1": "1.x",
    "1.2": "1.2.x",
    "1.X.*": "1.x",
    "=1.*": "1.x",
    "^1.x": "^1",
    "~1.2.x": "~1.2",
    "x": "*",
    ">=*": "*",
    "* >=1": ">=1",
    " latest ": "latest",
    ">1.2.3-rc.1": ">1.2.3-rc.1",
}


@pytest.mark.parametrize(("text", "canonical"), CANONICAL.items())
def test_canonical_texts(text: str, canonical: str) -> None:
    assert parse_constraint(text).text == canonical


def test_latest_is_one_version() -> None:
    """The highest release; a pre-release only where there is no release."""
    assert allowed("latest", "1.0.0", "2.0.0", "1.9.0", "3.0.0-rc.1") == ["2.0.0"]
    assert allowed("latest", "3.0.0-rc.1", "3.0.0-rc.10", "3.0.0-rc.9") == ["3.0.0-rc.10"]
    assert allowed("latest") == []


def test_pre_releases_are_taken_by_name_only() -> None:
    there = ("1.2.0-rc.1", "1.2.0-rc.2", "1.2.0", "1.3.0-rc.1", "1.3.0", "2.0.0-rc.1")
    assert allowed("^1.2.0-rc.2", *there) == ["1.2.0-rc.2", "1.2.0", "1.3.0"]
    assert allowed(">=1.2", *there) == ["1.2.0", "1.3.0"]
    assert allowed(">=1.2 <2.0.0-rc.2", *there) == ["1.2.0", "1.3.0", "2.0.0-rc.1"]
    assert allowed("*", *there) == ["1.2.0", "1.3.0"]


BAD = {
    "": r"must not be empty; write \* for any release",
    "   ": r"must not be empty; write \* for any release",
    "1.2.3 || 2": r"alternatives with \|\| are not supported \(constraint, column 7\)",
    ">=1, <2": r"separate the parts with spaces instead of commas \(constraint, column 4\)",
    "1.2 - 2": r"write >=1.2 <2 instead of a range with a hyphen \(constraint, column 5\)",
    "^v1.2": r"write the version without the v \(constraint, column 2\)",
    ">=1 <<2": r"expected one of the forms 1\.2\.3, .* \(constraint, column 4\)",
    ">=1 1.2.3-01": r"expected one of the forms .* \(constraint, column 5\)",
    "^1.02": r"expected one of the forms .* \(constraint, column 2\)",
    "2147483648": r"expected one of the forms .* \(constraint, column 1\)",
    "latest >=1": r"expected one of the forms .* \(constraint, column 1\)",
    "١.x": r"expected one of the forms .* \(constraint, column 1\)",
    "1\t<2": r"expected one of the forms .* \(constraint, column 2\)",
    ">=2 <1": "no version satisfies '>=2 <1'",
    ">*": "no version satisfies",
    "1" * 2_000: "must have at most 1,024 characters, got 2,000",
}


@pytest.mark.parametrize(("text", "message"), BAD.items(), ids=range(len(BAD)))
def test_a_bad_constraint_names_its_place(text: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message) as refused:
        parse_constraint(text)
    assert refused.value.place is not None
    assert refused.value.place.startswith("constraint")


def test_requires_are_checked_by_name() -> None:
    assert list(parse_requires({"b/c": "^1", "a": "latest"})) == ["a", "b/c"]
    with pytest.raises(ValidationError, match="is not a constraint") as refused:
        parse_requires({"a": "^1", "b/c": ">=1 x2"})
    assert refused.value.place == "requires['b/c'], column 5"
    with pytest.raises(ValidationError, match=r"requires\['a'\] must be str, not int"):
        parse_requires({"a": 1})
    with pytest.raises(ValidationError, match="requires must be a mapping of module names to constraints, not list"):
        parse_requires(["a"])
    with pytest.raises(InvalidKeyError, match="requires must be str, not int"):
        parse_requires({1: "^1"})


@given(st.text(alphabet="0123x*.^~<>= -+av|", max_size=14))
def test_any_text_is_a_constraint_or_a_validation_error(text: str) -> None:
    with contextlib.suppress(ValidationError):
        constraint = parse_constraint(text)
        assert parse_constraint(constraint.text) == constraint


def test_ranges_that_exclude_each_other_share_no_version() -> None:
    rng = random.Random(12)
    excluded = 0
    for _ in range(500):
        texts = rng.sample(TAKEN, rng.randint(2, 3))
        if exclude_each_other(map(parse_constraint, texts)):
            excluded += 1
            assert not set.intersection(*map(taken, texts)), texts
    assert excluded > 100
    assert not exclude_each_other([parse_constraint("latest"), parse_constraint("^1")])
