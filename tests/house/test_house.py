"""The house's own scripts, and that Makefile, workflows and packaging name the same set of things."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.house import wheels
from tests.house.dependencies import packages
from tests.plugins import requirements
from tests.servers import programs

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def workflow(name: str) -> dict:
    return yaml.safe_load((ROOT / ".github/workflows" / name).read_text())


def test_an_extra_is_spelt_out_with_the_extras_it_names():
    names = {re.split(r"[\[><=]", line)[0] for line in packages("dev")}
    assert {"orjson", "psycopg", "redis", "boto3", "click", "pytest", "maturin"} <= names
    assert "tierstore" not in names


@pytest.mark.requirement("S5-02")
def test_the_packages_of_the_design_card_are_dependencies():
    lines = [*packages("all"), *packages("dev"), *packages("bench")]
    for name in ("psycopg[binary]", "redis[hiredis]", "boto3", "orjson", "pytest-benchmark", "maturin"):
        assert any(line.startswith(name) for line in lines), name
    assert "pyo3" in tomllib.loads((ROOT / "rust/binding/Cargo.toml").read_text())["dependencies"]


def test_every_target_of_the_makefile_is_in_its_help():
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert phony is not None
    assert sorted(re.findall(r"^  make (\w+)", listed, re.MULTILINE)) == sorted(phony[1].split())
    assert {"demo", "test", "lint", "bench", "requirements", "wheels", "docs", "help"} <= set(phony[1].split())


def test_ci_runs_what_people_run():
    assert (ROOT / ".ci/run").read_text().endswith("exec make --no-print-directory test\n")
    steps = workflow("ci.yml")["jobs"]["test"]["steps"]
    assert steps[-1] == {"run": ".ci/run"}


@pytest.mark.requirement("S5-05")
def test_the_published_workflow_builds_the_same_wheels_as_make():
    job = workflow("wheels.yml")["jobs"]["wheels"]
    build, trial = (step for step in job["steps"] if step.get("name", "").startswith(("Build", "Install")))
    built = {"cp3" + name[2:] for name in build["with"]["args"].partition("-i ")[2].split()}
    tried = {name.split("-")[1] for name in re.findall(r"cp3\w+-cp3\w+", trial["run"])}
    assert built == tried == set(wheels.PYTHONS)
    libraries = {(row["suffix"], row["image"]) for row in job["strategy"]["matrix"]["library"]}
    assert libraries == set(wheels.LIBRARIES.values())
    assert [row["name"] for row in job["strategy"]["matrix"]["processor"]] == list(wheels.PROCESSORS)
    assert len(wheels.ALL) == 20


def test_a_wheel_is_found_by_its_name():
    assert wheels.named("cp314t-aarch64-musllinux").target == "aarch64-unknown-linux-musl"
    assert wheels.named("cp314t-aarch64").interpreter == "python3.14t"
    with pytest.raises(SystemExit, match="cp310-x86_64"):
        wheels.named("cp310-x86_64")


def test_every_supported_python_is_built_for():
    oldest = PYPROJECT["project"]["requires-python"].removeprefix(">=3.")
    assert wheels.PYTHONS[0] == f"cp3{oldest}"


def test_places_come_from_parameters_and_fixtures():
    places = requirements.places_of
    assert places({"store": "s3", "face": "async"}, []) == ["s3 async"]
    assert places({"store": "sqlite-redis", "face": "blocking"}, []) == ["sqlite blocking", "redis blocking"]
    assert places({}, ["database", "tmp_path"]) == ["postgres"]
    assert places({"size": 3}, []) == ["core"]


def test_a_requirement_is_proven_only_where_all_its_tests_passed():
    places = requirements.Places()
    places.add(("S1-01",), ["sqlite async", "postgres async"], passed=True)
    places.add(("S1-01",), ["postgres async"], passed=False)
    places.add(("S1-02",), ["sqlite async"], passed=False)
    assert places.proven() == {"S1-01": ["sqlite async"]}


def test_a_list_that_became_shorter_is_noticed():
    committed = {"S1-01": ["sqlite", "postgres"], "S1-02": ["sqlite"]}
    assert requirements.shorter(committed, {"S1-01": ["sqlite", "redis"]}) == [
        "S1-01 on postgres",
        "S1-02 on sqlite",
    ]


MARKED = """
import pytest
from pytest import skip

@pytest.mark.requirement("S1-01")
@pytest.mark.parametrize("backend", ["sqlite", "postgres"])
def test_one(backend):
    {body}
"""


WORKERS = pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["alone", "workers"])


def run_marked(pytester, monkeypatch, body: str, committed: list[str], *arguments: str):
    """A run of MARKED over a list where S1-01 is proven at the places `committed`; its result and the list's path."""
    pytester.makeini("[pytest]\nmarkers = requirement(*ids): x\n")
    pytester.makepyfile(MARKED.format(body=body))
    known = pytester.path / "list.json"
    known.write_text(json.dumps({"totals": {"S1": 2}, "proven": {"S1-01": committed}}))
    monkeypatch.setattr(requirements, "COMMITTED", known)
    return pytester.runpytest_inprocess("-p", "tests.plugins.requirements", *arguments), known


@WORKERS
@pytest.mark.parametrize(
    ("body", "committed", "code", "line"),
    [
        ("pass", ["postgres", "sqlite"], 0, "S1: 1 of 2"),
        ("pass", ["postgres", "redis"], 1, "no longer proven: S1-01 on redis"),
        ("skip()", ["sqlite"], 1, "no longer proven: S1-01 on sqlite"),
        ("assert False", [], 1, "S1: 0 of 2"),
    ],
)
def test_a_run_reports_and_refuses(pytester, monkeypatch, body: str, committed: list[str], code, line, workers):
    result, _ = run_marked(pytester, monkeypatch, body, committed, "--requirements=check", *workers)
    assert result.ret == code
    assert line in result.stdout.str()


@WORKERS
def test_update_rewrites_the_list_one_id_a_line(pytester, monkeypatch, workers):
    _, known = run_marked(pytester, monkeypatch, "pass", [], "--requirements=update", *workers)
    assert '    "S1-01": ["postgres", "sqlite"]\n' in known.read_text()
    assert json.loads(known.read_text())["totals"] == {"S1": 2}


@pytest.mark.parametrize("mode", ["check", "update"])
def test_a_run_whose_worker_crashed_proves_nothing(pytester, monkeypatch, mode: str):
    body = "import os; backend == 'postgres' and os._exit(3)"
    result, known = run_marked(pytester, monkeypatch, body, ["sqlite"], f"--requirements={mode}", "-n1")
    assert result.ret != 0
    assert "crashed: the run proves nothing" in result.stdout.str()
    assert json.loads(known.read_text())["proven"] == {"S1-01": ["sqlite"]}


@WORKERS
def test_an_unknown_requirement_fails_the_run(pytester, monkeypatch, workers):
    monkeypatch.setitem(globals(), "MARKED", MARKED.replace("S1-01", "S1-9999"))
    result, _ = run_marked(pytester, monkeypatch, "pass", [], "--requirements=check", *workers)
    assert result.ret != 0
    assert "no such requirement: S1-9999" in result.stdout.str()


def test_a_missing_program_fails_with_the_line_that_installs_it(monkeypatch):
    monkeypatch.setattr(programs, "_apt_install", lambda package: None)
    with pytest.raises(programs.Missing, match=r"sudo apt-get install -y postgresql$"):
        programs._found_or_packaged("initdb", "postgresql", lambda: None)


def test_all_that_is_missing_is_said_at_once(monkeypatch):
    def refuse(program: str, package: str, *_: object) -> Path:
        raise programs.Missing(f"sudo apt-get install -y {package}")

    monkeypatch.setattr(programs, "_found_or_packaged", refuse)
    monkeypatch.setenv("TIERSTORE_TEST_S3_URL", "http://given")
    monkeypatch.delenv("TIERSTORE_TEST_POSTGRES_URL", raising=False)
    with pytest.raises(SystemExit) as ended:
        programs.main()
    assert {"redis-server", "postgresql"} <= {line.split()[-1] for line in str(ended.value).splitlines()}


@pytest.mark.parametrize("packaged", [Path("packaged"), None])
def test_a_program_is_looked_for_again_after_its_installation_and_then_taken_out_of_a_wheel(monkeypatch, packaged):
    installed: list[str] = []
    monkeypatch.setattr(programs, "_apt_install", installed.append)

    def find() -> Path | None:
        return packaged if installed else None

    found = programs._found_or_packaged("initdb", "postgresql", find, lambda: Path("carried"))
    assert found == (packaged or Path("carried"))
    assert installed == ["postgresql"]


def test_the_blocking_stub_is_what_the_async_classes_give():
    done = subprocess.run([sys.executable, "-m", "tests.house.blocking_stub", "--check"], cwd=ROOT, capture_output=True)
    assert done.returncode == 0, done.stderr
