"""Random calls by several processes under random faults: whatever they saw, the guarantees allow. `__main__.py` has the long form."""

from __future__ import annotations

import os

import pytest

from tests.faults.history.segment import run
from tests.faults.history.setups import SETUPS

SEED = int(os.environ.get("TIERSTORE_TEST_SEED", "1"))
OPERATIONS = 5_000
MOST_SHOWN = 5


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # a link that was broken is closed by its loop
@pytest.mark.timeout(600)  # a busy machine takes its time, and the history is longer then
@pytest.mark.parametrize("setup", SETUPS)
def test_a_history_is_one_that_the_guarantees_allow(setup, fleet):
    outcome = run(setup, SEED, OPERATIONS, fleet)
    if outcome.violations:  # the whole text, and nothing before it: an assert's is cut where it is long
        pytest.fail("\n\n".join([f"seed {SEED}: {outcome}", *outcome.violations[:MOST_SHOWN]]), pytrace=False)
    assert outcome.calls >= OPERATIONS
    assert outcome.faults
