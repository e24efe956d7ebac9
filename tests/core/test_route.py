"""Sizes into tiers, content into digests, keys into slots."""

from __future__ import annotations

import hashlib
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tierstore
from tierstore._native import SizeRouter, digest, slot
from tierstore.errors import ValidationError

BOUNDS = [
    (0, "inline"),
    (65_536, "inline"),
    (65_537, "row"),
    (1_048_575, "row"),
    (1_048_576, "object"),
    (1 << 30, "object"),
]


@pytest.mark.requirement("S5-03")
@pytest.mark.parametrize(("size", "tier"), BOUNDS)
def test_the_bounds(size: int, tier: str) -> None:
    assert SizeRouter().tier(size) == tier
    if size <= 1_048_576:
        content = b"x" * size
        placement = SizeRouter().route(content)
        assert (placement.tier, placement.size, placement.digest) == (tier, size, hashlib.sha256(content).hexdigest())


def test_own_bounds() -> None:
    router = SizeRouter(inline_max=2, object_min=4)
    assert (router.inline_max, router.object_min) == (2, 4)
    assert [router.tier(size) for size in range(6)] == ["inline"] * 3 + ["row"] + ["object"] * 2
    assert repr(router) == "SizeRouter(inline_max=2, object_min=4)"
    assert router == SizeRouter(2, 4) != SizeRouter()
    with pytest.raises(ValidationError, match="must be below object_min"):
        SizeRouter(4, 4)


def test_placements_are_values() -> None:
    one, other = SizeRouter().route(b"a"), SizeRouter().route(bytearray(b"a"))
    assert one == other
    assert len({one, other, SizeRouter().route(b"b")}) == 2
    assert isinstance(one, tierstore.Placement)


@given(st.binary(max_size=10_000))
def test_digests(content: bytes) -> None:
    expected = hashlib.sha256(content).hexdigest()
    assert digest(content) == digest(bytearray(content)) == digest(memoryview(content)) == expected


def test_a_digest_needs_bytes() -> None:
    with pytest.raises(TypeError):
        digest("text")  # type: ignore[arg-type]


def test_slots_are_stable_and_spread() -> None:
    assert [slot("", ""), slot("schema", "a"), slot("module", "x@1.0.0")] == [9724, 32942, 25092]
    counts = Counter(slot("schema", f"018f4e2a-{number:04x}") % 64 for number in range(20_000))
    assert len(counts) == 64
    assert max(counts.values()) < 2 * min(counts.values())
