"""`Version`: semver's grammar and order, and the key whose byte order is that order."""

from __future__ import annotations

import pickle
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierstore._native import Version
from tierstore.errors import ValidationError

GRAMMAR = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
    r"(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?",
    re.ASCII,
)
PART = st.integers(0, 2**31 - 1)
IDENTIFIER = st.one_of(st.integers(0, 10**30).map(str), st.from_regex(r"\A[0-9]{0,3}[a-zA-Z-][0-9a-zA-Z-]{0,5}\Z"))
VERSIONS = st.builds(
    lambda parts, pre, build: ".".join(map(str, parts)) + "".join(["-" + ".".join(pre)] * bool(pre)) + build,
    st.tuples(PART, PART, PART),
    st.lists(IDENTIFIER, max_size=4),
    st.sampled_from(["", "+b", "+1.a-b"]),
)


def precedence(text: str) -> tuple[object, ...]:
    """The order of semver.org, point 11, spelled out."""
    found = GRAMMAR.fullmatch(text)
    assert found
    pre = found[4]
    identifiers = [(0, int(i), "") if i.isdigit() else (1, 0, i) for i in (pre or "").split(".") if i]
    return (int(found[1]), int(found[2]), int(found[3]), pre is None, identifiers)


@given(VERSIONS)
def test_versions_are_read(text: str) -> None:
    version, found = Version(text), GRAMMAR.fullmatch(text)
    assert found
    assert (version.major, version.minor, version.patch) == (int(found[1]), int(found[2]), int(found[3]))
    assert (version.prerelease, version.build, str(version)) == (found[4] or "", found[5] or "", text)
    assert pickle.loads(pickle.dumps(version)) == version


@given(st.one_of(st.text(max_size=20), st.from_regex(r"\A[0-9.+a-]{0,14}\Z")))
def test_nothing_else_is_read(text: str) -> None:
    found = GRAMMAR.fullmatch(text)
    if found and all(int(part) < 2**31 for part in found.groups()[:3]):
        assert str(Version(text)) == text
        return
    with pytest.raises(ValidationError, match=r"semver|ASCII") as refused:
        Version(text)
    assert refused.value.place is None or refused.value.place.startswith("column ")


@given(VERSIONS, VERSIONS)
def test_the_order_is_the_standards(one: str, other: str) -> None:
    a, b = Version(one), Version(other)
    assert (a < b, a == b, a > b) == (
        precedence(one) < precedence(other),
        precedence(one) == precedence(other),
        precedence(one) > precedence(other),
    )
    assert a != b or hash(a) == hash(b)


@pytest.mark.requirement("S1-17", "S1-42")
def test_the_key_orders_pre_releases() -> None:
    """The key decides between versions of the same three parts; a release is above its pre-releases."""
    rng = random.Random(17)
    words = ["0", "1", "9", "10", "99", "100", "a", "A", "a-", "-", "0a", "alpha", "beta", "rc"]
    texts = ["1.0.0"] + ["1.0.0-" + ".".join(rng.choices(words, k=rng.randint(1, 4))) for _ in range(2000)]
    by_key = sorted(texts, key=lambda text: (Version(text).key, text))
    by_order = sorted(texts, key=lambda text: (precedence(text), text))
    assert by_key == by_order
    assert Version("1.0.0").key == b"\xff"
    assert Version("1.0.0-rc.1").key == b"\x02rc\x00\x01\x011\x00"


def test_build_metadata_is_no_part_of_identity() -> None:
    assert Version("1.0.0+a") == Version("1.0.0+b")
    assert len({Version("1.0.0+a"), Version("1.0.0+b"), Version("1.0.0-a")}) == 2
    assert Version("1.0.0") != "1.0.0"


@pytest.mark.parametrize(
    "text", ["2147483648.0.0", "1.0", "", "1.0.0-" + "a" * 300, "1.0.0-\ud800", "\x001.0.0", "1.0.0\n"]
)
def test_bounds(text: str) -> None:
    with pytest.raises(ValidationError):
        Version(text)
