"""L1.7: keys and values whose own code gets in the way. The same cases run against every rival in `benches/l1_cases.py`."""

from __future__ import annotations

import pytest

import tierstore
from benches.l1_cases import CASES, Contestant


@pytest.mark.parametrize("policy", ["default", "lru"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_a_hard_case(case, policy):
    case(Contestant("tierstore", lambda size: tierstore.Cache(size, policy=policy)))
