"""`read=` as text: every spelling that the type lists is one, `bounded` makes the others, and a wrong one is named."""

import typing

import pytest

import tierstore
from tierstore.plan.route import Read, route

LITERALS = typing.get_args(typing.get_args(Read)[0])


@pytest.mark.parametrize("read", LITERALS)
def test_every_read_of_the_type_is_a_route(read):
    bound = route(read).bound_s
    assert (bound is not None and 0 < bound < float("inf")) == read.startswith("bounded:")


@pytest.mark.parametrize("seconds", [0.000_001, 0.3, 1, 2.5, 90, 999_999_999])
def test_bounded_makes_the_bound(seconds):
    assert route(tierstore.bounded(seconds)).bound_s == pytest.approx(seconds)


@pytest.mark.parametrize("seconds", [0, -1, 1e-9, 1e9, float("inf"), float("nan"), True, "2", None])
def test_a_wrong_bound_is_refused(seconds):
    with pytest.raises(tierstore.ValidationError, match="seconds must be") as refused:
        tierstore.bounded(seconds)
    assert refused.value.place == "seconds"


@pytest.mark.parametrize("read", ["sesion", "bounded:", "bounded:2", "bounded:-1s"])
def test_a_wrong_read_is_named_with_what_is_expected(read):
    with pytest.raises(tierstore.ValidationError) as refused:
        route(read)
    assert all(part in str(refused.value) for part in (read, "session", "latest", "any", "bounded:2s"))
