"""One version a module: against trying everything on small worlds, and on the worlds that resolvers fall over."""

from __future__ import annotations

import itertools
import pickle
import random
import re

import pytest

from tests.core.universes import ROOT, ROOT_VERSION, Judge, made, offers, resolve
from tierstore import ConflictError, ResolutionError, ValidationError
from tierstore._native import Version
from tierstore.plan.constraints import VersionList, parse_constraint
from tierstore.plan.lockfile import Requirement
from tierstore.plan.resolve import Resolution

SEEDS = 1_500
TRAPS_IN_SEEDS = {"solved": 300, "conflicts": 500, "missing": 80, "several": 1}


@pytest.fixture(scope="module")
def worlds():
    return [made(random.Random(seed)) for seed in range(SEEDS)]


def test_the_highest_choice_is_the_first_that_trying_everything_finds(worlds) -> None:
    seen = dict.fromkeys(TRAPS_IN_SEEDS, 0)
    for seed, (requires, modules) in enumerate(worlds):
        expected = Judge(requires, modules).first()
        if expected is None:
            with pytest.raises(ResolutionError) as refused:
                resolve(requires, modules)
            check_chains(refused.value, requires, modules)
            seen["conflicts"] += 1
            seen["several"] += refused.value.module is None
            continue
        resolved, _ = resolve(requires, modules)
        assert {ROOT: ROOT_VERSION, **resolved.versions} == expected, seed
        assert {each.module for each in resolved.missing} <= {"gone"}
        seen["solved"] += 1
        seen["missing"] += bool(resolved.missing)
    assert all(seen[trap] >= least for trap, least in TRAPS_IN_SEEDS.items()), seen


def check_chains(error: ResolutionError, requires, modules) -> None:
    """Each is made of requirements that there are; those on one module leave no version of it, and can be met one after another."""
    judge = Judge(requires, modules)
    assert error.chains
    assert not error.gave_up
    for step in itertools.chain.from_iterable(error.chains):
        name, _, version = step.by.rpartition("@")
        assert parse_constraint(judge.modules[name][version][step.module]).text == step.constraint
    if error.module is None:
        return
    listed = VersionList(map(Version, judge.order[error.module]))
    left = -1
    for chain in error.chains:
        assert chain[0].by == f"{ROOT}@{ROOT_VERSION}"
        assert chain[-1].module == error.module
        assert all(after.by.startswith(f"{step.module}@") for step, after in itertools.pairwise(chain))
        left &= listed.allowed(parse_constraint(chain[-1].constraint))
    assert left == 0
    chosen = {step.by.rpartition("@")[::2] for chain in error.chains for step in chain}
    assert len(chosen) == len(dict(chosen))
    for step in itertools.chain.from_iterable(error.chains):
        if step.module in dict(chosen) and step.module != error.module:
            assert judge.fits(step.module, dict(chosen)[step.module], step.constraint)


def test_the_minimal_choice_is_that_of_go(worlds) -> None:
    by_go = by_search = 0
    for seed, (requires, modules) in enumerate(worlds):
        judge = Judge(requires, modules)
        selected = judge.minimal()
        expected = selected or judge.first(is_lowest_first=True)
        try:
            resolved, _ = resolve(requires, modules, "minimal")
        except ResolutionError:
            assert expected is None, seed
            continue
        assert {ROOT: ROOT_VERSION, **resolved.versions} == expected, seed
        by_go += selected is not None
        by_search += selected is None
    assert by_go > 300
    assert by_search > 50


def test_the_minimal_choice_leaves_no_requirement_out() -> None:
    """The lowest m that the root and t name would do with r 1.1.0, but r 1.0.0 is enough for all who ask for r."""
    modules = {
        "m": {"1.0.0": {}, "1.2.0": {}},
        "r": {"1.0.0": {"m": ">=1.2"}, "1.1.0": {"m": ">=1"}},
        "s": {"1.0.0": {"t": "^1"}},
        "t": {"1.0.0": {"m": "^1"}},
    }
    resolved, _ = resolve({"m": "^1", "r": "^1", "s": "^1"}, modules, "minimal")
    assert resolved.versions == {"m": "1.2.0", "r": "1.0.0", "s": "1.0.0", "t": "1.0.0"}


def test_the_judge_is_right_where_every_subset_can_be_tried(worlds) -> None:
    tried = 0
    for requires, modules in worlds:
        judge = Judge(requires, modules)
        if sum(map(len, judge.order.values())) <= 9:
            tried += 1
            assert judge.has_solution() == (judge.first() is not None)
    assert tried > 100


def test_the_order_in_which_offers_come_makes_no_difference(worlds) -> None:
    for seed, (requires, modules) in enumerate(worlds[:200]):
        rng = random.Random(seed)
        shuffled = {name: dict(rng.sample(list(versions.items()), len(versions))) for name, versions in modules.items()}
        answers = []
        for each in (modules, shuffled):
            resolution = Resolution(ROOT, Version(ROOT_VERSION), dict(reversed(requires.items())))
            resolution.learn(
                {name: offers(versions) for name, versions in sorted(each.items(), reverse=each is modules)}
            )
            try:
                while names := resolution.wanted():
                    resolution.learn(dict.fromkeys(names, ()))
                answers.append(resolution.result())
            except ResolutionError as error:
                answers.append((str(error), error.chains))
        assert answers[0] == answers[1], seed


DIAMOND = {
    "left": {"1.0.0": {"base": "^1.1"}, "1.1.0": {"base": "^2"}},
    "right": {"1.0.0": {"base": ">=1 <2"}},
    "base": {"1.0.0": {}, "1.1.0": {}, "1.5.0": {}, "2.0.0": {}},
}


def test_a_diamond_takes_the_highest_that_both_sides_allow() -> None:
    resolved, batches = resolve({"left": "1.0.0", "right": "^1"}, DIAMOND)
    assert resolved.versions == {"base": "1.5.0", "left": "1.0.0", "right": "1.0.0"}
    assert batches == [("left", "right"), ("base",)]
    assert resolve({"left": "1.0.0", "right": "^1"}, DIAMOND, "minimal")[0].versions["base"] == "1.1.0"


def test_a_highest_choice_that_excludes_another_is_taken_back() -> None:
    resolved, _ = resolve({"left": "^1", "right": "^1"}, DIAMOND)
    assert resolved.versions == {"base": "1.5.0", "left": "1.0.0", "right": "1.0.0"}


def test_what_a_version_that_was_taken_back_requires_is_not_there() -> None:
    modules = {
        "a": {"1.0.0": {}, "1.1.0": {"only-of-1.1": "*", "b": "^1"}},
        "b": {"1.0.0": {"a": "1.0.0"}, "2.0.0": {}},
        "only-of-1.1": {"1.0.0": {"missing": "*"}},
    }
    resolved, _ = resolve({"a": "*", "b": "^1"}, modules)
    assert resolved.versions == {"a": "1.0.0", "b": "1.0.0"}
    assert resolved.missing == ()


def test_cycles_are_fine_with_the_root_in_them_too() -> None:
    modules = {"a": {"1.0.0": {"b": "^1", "a": "1.x"}}, "b": {"1.0.0": {"a": "^1", ROOT: "^1"}}}
    assert resolve({"a": "*"}, modules)[0].versions == {"a": "1.0.0", "b": "1.0.0"}
    assert resolve({"a": "*"}, modules, "minimal")[0].versions == {"a": "1.0.0", "b": "1.0.0"}


def test_a_version_that_contradicts_itself_is_not_chosen() -> None:
    modules = {"a": {"1.0.0": {}, "1.1.0": {"a": "^2"}}}
    assert resolve({"a": "*"}, modules)[0].versions == {"a": "1.0.0"}


def test_the_root_is_what_it_is() -> None:
    with pytest.raises(ResolutionError, match=r"no version of app satisfies \^2; it is the root itself, 1\.0\.0") as e:
        resolve({"a": "*"}, {"a": {"1.0.0": {ROOT: "^2"}}})
    assert "Other versions" not in str(e.value)
    assert e.value.chains[0][-1] == Requirement("a@1.0.0", ROOT, "^2")


def test_pre_releases_come_only_where_they_are_named() -> None:
    modules = {"a": {"1.0.0": {}, "2.0.0-rc.1": {}}, "b": {"1.0.0": {"a": "^2.0.0-rc.0"}}}
    assert resolve({"a": "*"}, modules)[0].versions == {"a": "1.0.0"}
    assert resolve({"a": "^2.0.0-rc.0"}, modules)[0].versions == {"a": "2.0.0-rc.1"}
    with pytest.raises(
        ResolutionError, match=r"no version of a satisfies >=1 and \^2\.0\.0-rc\.0; there are 2 versions"
    ):
        resolve({"a": ">=1", "b": "*"}, modules)


def test_missing_modules_are_named_with_who_asks() -> None:
    modules = {"a": {"1.0.0": {"gone": "^1", "empty": "*"}}, "empty": {}}
    resolved, batches = resolve({"a": "^1", "gone": "~2.1"}, modules)
    assert resolved.versions == {"a": "1.0.0"}
    assert resolved.missing == (
        Requirement("a@1.0.0", "empty", "*"),
        Requirement("a@1.0.0", "gone", "^1"),
        Requirement("app@1.0.0", "gone", "~2.1"),
    )
    assert batches == [("a", "gone"), ("empty",)]


def test_the_error_tells_who_asked_for_what() -> None:
    modules = {
        "acme/orders": {"2.0.0": {"acme/common": "^1.1"}, "2.1.0": {"acme/common": "^1.2"}},
        "acme/common": {"1.0.0": {}, "1.2.0": {}, "2.0.0": {}},
    }
    with pytest.raises(ResolutionError) as refused:
        resolve({"acme/orders": "^2", "acme/common": "^2"}, modules)
    error = refused.value
    assert str(error).splitlines() == [
        "app@1.0.0 cannot be resolved: no version of acme/common can satisfy ^2 and ^1.2",
        "  app@1.0.0 asks for acme/common ^2",
        "  app@1.0.0 asks for acme/orders ^2, acme/orders@2.1.0 asks for acme/common ^1.2",
        "Other versions of those that ask were tried, and none fits",
    ]
    assert (error.module, error.gave_up) == ("acme/common", False)
    assert error.chains == (
        (Requirement("app@1.0.0", "acme/common", "^2"),),
        (
            Requirement("app@1.0.0", "acme/orders", "^2"),
            Requirement("acme/orders@2.1.0", "acme/common", "^1.2"),
        ),
    )
    assert isinstance(error, ConflictError)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.chains, again.module) == (str(error), error.chains, error.module)


def test_only_what_takes_part_in_the_conflict_is_told() -> None:
    """Of fifty who ask for base, one is enough."""
    requires = {f"m{number}": "^1" for number in range(50)}
    modules = {name: {"1.0.0": {"base": "*"}, "1.1.0": {"base": "*"}} for name in requires}
    modules |= {"base": {"1.0.0": {"m8": "1.0.0", "m7": "*"}, "1.1.0": {"m8": "~1.0"}}}
    with pytest.raises(ResolutionError, match=r"no version of m8 satisfies 1\.1\.0 and ~1\.0|can satisfy") as refused:
        resolve({**requires, "m8": "1.1.0"}, modules)
    assert len(refused.value.chains) == 2
    assert {step.by.partition("@")[0] for chain in refused.value.chains for step in chain} <= {
        "app",
        "base",
        "m0",
        "m8",
    }


def test_a_long_chain_is_shown_by_its_ends() -> None:
    modules = {f"m{number}": {"1.0.0": {f"m{number + 1}": "^1"}} for number in range(2_000)}
    modules["m2000"] = {"1.0.0": {"m0": "^2"}}
    with pytest.raises(ResolutionError) as refused:
        resolve({"m0": "^1"}, modules)
    assert re.search(r"m2@1\.0\.0 asks for m3 \^1, 1,994 more steps, m1997@1\.0\.0 asks for", str(refused.value))
    assert list(map(len, refused.value.chains)) == [2_002]


def test_ten_thousand_versions_of_one_module() -> None:
    """Their requirements are read as a whole: no version is tried alone."""
    modules = {
        "big": {f"1.{number}.0": {"base": f"^{number % 3 + 1}"} for number in range(10_000)},
        "base": {f"{number}.0.0": {} for number in range(1, 10)},
        "other": {"1.0.0": {"base": "^2"}},
        "pins": {f"1.{number}.0": {"big": f"1.{number}.0"} for number in range(10_000)},
    }
    resolved, _ = resolve({"big": "^1", "other": "*"}, modules, limit=100)
    assert resolved.versions == {"big": "1.9997.0", "base": "2.0.0", "other": "1.0.0"}
    resolved, _ = resolve({"big": "<1.17", "pins": "*"}, modules, limit=200_000)
    assert resolved.versions["pins"] == "1.16.0"


def test_two_times_ten_thousand_versions_that_do_not_agree() -> None:
    """Pair by pair it would be 100,000,000 steps."""
    modules = {
        "a": {f"1.{number}.0": {"base": "^1"} for number in range(10_000)},
        "b": {f"1.{number}.0": {"base": "^2"} for number in range(10_000)},
        "base": {"1.0.0": {}, "2.0.0": {}},
    }
    with pytest.raises(ResolutionError, match=r"no version of base can satisfy \^1 and \^2") as refused:
        resolve({"a": "^1", "b": "^1"}, modules, limit=100)
    assert not refused.value.gave_up


@pytest.mark.parametrize("strategy", ["highest", "minimal"])
def test_a_chain_of_two_thousand(strategy) -> None:
    modules = {
        f"m{n}": {f"1.{v}.0": {f"m{n + 1}": "^1", "hub": f"<{9 - n % 5}"} for v in range(3)} for n in range(2_000)
    }
    modules |= {"m2000": {"1.0.0": {}}, "hub": {f"{number}.0.0": {} for number in range(1, 12)}}
    resolved, batches = resolve({"m0": "^1", "hub": ">=2"}, modules, strategy)
    assert len(resolved.versions) == 2_002
    assert (resolved.versions["hub"], resolved.versions["m7"]) == (
        ("4.0.0", "1.2.0") if strategy == "highest" else ("2.0.0", "1.0.0")
    )
    assert len(batches) == 2_001


def test_a_wide_level_is_read_at_once() -> None:
    modules = {f"a{n}": {"1.0.0": {f"b{n}": "^1"}} for n in range(300)} | {f"b{n}": {"1.0.0": {}} for n in range(300)}
    resolved, batches = resolve({f"a{n}": "^1" for n in range(300)}, modules)
    assert [len(batch) for batch in batches] == [300, 300]
    assert len(resolved.versions) == 600


@pytest.mark.parametrize("strategy", ["highest", "minimal"])
def test_what_was_not_answered_is_asked_again(strategy) -> None:
    resolution = Resolution(ROOT, Version("1.0.0"), {"a": "^1", "b": "^1"}, strategy=strategy)
    assert resolution.wanted() == resolution.wanted() == ("a", "b")
    resolution.learn({"b": offers({"1.0.0": {}}), "more": ()})
    assert resolution.wanted() == ("a",)
    resolution.learn({"a": offers({"1.0.0": {"more": "*"}})})
    assert resolution.wanted() == ()
    assert resolution.result().missing == (Requirement("a@1.0.0", "more", "*"),)


def pigeons(count: int, holes: int):
    """Each of `count` modules wants one of `holes` to itself. No proof of what is obvious is short (Haken, 1985)."""
    modules = {
        f"x{i}-{k}-{h}": {"1.0.0": {}, "2.0.0": {}} for i in range(count) for k in range(i) for h in range(holes)
    }
    for i in range(count):
        modules[f"p{i}"] = {
            f"1.{h}.0": {f"x{max(i, k)}-{min(i, k)}-{h}": "1.0.0" if i > k else "2.0.0" for k in range(count) if k != i}
            for h in range(holes)
        }
    return {f"p{i}": "^1" for i in range(count)}, modules


def test_hard_worlds_end() -> None:
    resolved, _ = resolve(*pigeons(5, 5))
    assert len({version for name, version in resolved.versions.items() if name.startswith("p")}) == 5
    with pytest.raises(ResolutionError) as refused:
        resolve(*pigeons(5, 4))
    assert not refused.value.gave_up
    with pytest.raises(
        ResolutionError, match=r"no choice of versions was found in 50,000 steps, though there may"
    ) as e:
        resolve(*pigeons(10, 9), limit=50_000)
    assert (e.value.gave_up, e.value.chains, e.value.module) == (True, (), None)


def test_wrong_arguments() -> None:
    with pytest.raises(ValidationError, match="strategy must be 'highest' or 'minimal', got 'newest'"):
        Resolution(ROOT, Version("1.0.0"), {}, strategy="newest")
    with pytest.raises(ValidationError, match=r"is not a constraint: .*\(requires\['a'\], column 1\)"):
        Resolution(ROOT, Version("1.0.0"), {"a": "=>1"})
    with pytest.raises(ValidationError, match=r"requires\['b'\] of a@1\.0\.0"):
        resolve({"a": "^1"}, {"a": {"1.0.0": {"b": "what"}}})
    with pytest.raises(RuntimeError, match=r"result\(\) was called while modules are wanted"):
        Resolution(ROOT, Version("1.0.0"), {"a": "^1"}).result()


def test_a_root_without_requirements() -> None:
    resolution = Resolution(ROOT, Version("1.0.0"), {})
    assert resolution.wanted() == ()
    assert resolution.result() == ({}, ())
