"""The real engine under a seeded scheduler, and wrong engines that it must catch."""

from __future__ import annotations

import os

import pytest

from tests.model.story import CUT_OFF, FAULTS, LOSSES, SILENCES, Story, search
from tests.model.wrong import WRONG

SEEDS = int(os.environ.get("TIERSTORE_TEST_SEEDS", "40"))
MOST_SEEDS = 4000


SETTINGS = {
    "two processes": {},
    "two processes without L2": {"l2": False},
    "one process with L2": {"channel": False, "processes": 1},
    "one process": {"l2": False, "channel": False, "processes": 1},
    "two processes under faults": {"faults": FAULTS},
    "two processes without L2 under faults": {"faults": FAULTS, "l2": False},
    "one slow process with L2": {"channel": False, "processes": 1, "slow": True},
    "two processes over fail-overs of L2": {"fail_over": True},
    "two processes over fail-overs of L2 under faults": {"fail_over": True, "faults": FAULTS},
    "two processes over promotions of the database": {"promotion": True},
    "two processes over promotions of the database under faults": {"promotion": True, "faults": FAULTS},
    "two processes over promotions of the database and a replica": {"promotion": True, "replica": True},
    "a process reads what another one writes and does not deliver": {"undelivered": True},
    "two processes with a replica": {"replica": True},
    "two processes with a replica without L2 under faults": {"replica": True, "faults": FAULTS, "l2": False},
}


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_the_engine_keeps_its_promises(setting):
    found = search(range(SEEDS), **setting)
    assert found is None, f"seed {found[0]}: {found[1]}"


def test_a_seed_gives_the_same_run():
    first, again = Story(7).run(), Story(7).run()
    assert first.world.commits == again.world.commits
    assert first.world.loads == again.world.loads
    assert first.simulation.now == again.simulation.now


NEEDS = {
    "no_generation": {"l2": False},
    "before_commit": {"l2": False},
    "joins_old_flights": {"l2": False},
    "no_flush_on_a_gap": {"faults": LOSSES, "l2": False},
    "always_fresh": {"faults": SILENCES, "l2": False},
    "echoes_early": {"faults": FAULTS},
    "forgets_what_it_showed": {"undelivered": True},
    "sets_baselines_back": {"replica": True, "l2": False},
    "confirms_by_key": {"channel": False, "processes": 1, "slow": True},
    "lets_l1_contradict": {"faults": FAULTS},
    "counts_what_an_old_server_took": {"fail_over": True},
    "believes_a_new_server": {"fail_over": True},
    "names_what_it_wrote_for_the_old_database": {"promotion": True},
    "believes_l2_by_new_names": {"promotion": True, "faults": CUT_OFF},
}
"""Where a wrong form shows soonest; the others in a plain life of two processes."""


@pytest.mark.parametrize("name", WRONG)
def test_wrong_engines_are_caught(name):
    found = search(range(MOST_SEEDS), wrong=WRONG[name], **NEEDS.get(name, {}))
    assert found is not None, f"{name} was not caught in {MOST_SEEDS} lives"
