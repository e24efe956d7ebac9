"""A panic behind an edge of C becomes an exception: seen on a module of planted panics, which is built here and shipped nowhere."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from importlib.machinery import ExtensionFileLoader
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TARGET = ROOT / "target" / "guard"


@pytest.fixture(scope="module")
def panics():
    environment = {**os.environ, "PYO3_PYTHON": sys.executable, "PYO3_BUILD_EXTENSION_MODULE": "1"}
    command = ["cargo", "build", "--quiet", "--locked", "--package", "tierstore-binding", "--example", "panics"]
    subprocess.run([*command, "--target-dir", str(TARGET)], cwd=ROOT, env=environment, check=True)
    (built,) = (
        path for path in (TARGET / "debug" / "examples").glob("libpanics.*") if path.suffix in (".so", ".dylib")
    )
    spec = importlib.util.spec_from_file_location("panics", built, loader=ExtensionFileLoader("panics", str(built)))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.timeout(600)  # the first run compiles
@pytest.mark.parametrize("edge", ["answers", "raises"])
@pytest.mark.parametrize(
    ("how", "cause"),
    [
        ("literal", "a planted panic"),
        ("made of parts", "made of parts"),
        ("index", "index out of bounds"),
        ("dangerous", "unknown cause"),
    ],
)
def test_a_panic_in_a_function_is_a_runtime_error_that_names_it(panics, edge, how, cause):
    with pytest.raises(RuntimeError, match=cause) as caught:
        getattr(panics, edge)(how)
    assert "tierstore" in str(caught.value)
    assert "report" in str(caught.value)


def test_an_error_stays_what_it_is(panics):
    with pytest.raises(ValueError, match=r"^as it is$"):
        panics.refuses("as it is")


@pytest.fixture
def reported(monkeypatch):
    """Errors that nobody could be given: each `Object` of the module dies with one."""
    errors = []
    monkeypatch.setattr(sys, "unraisablehook", lambda each: errors.append(each.exc_value))
    return errors


def test_a_panic_in_a_slot_that_answers_a_number_is_raised(panics, reported):
    with pytest.raises(RuntimeError, match="in a slot"):
        assert "in a slot" in panics.Object()


def test_a_panic_in_a_destructor_is_reported_and_hides_no_exception(panics, reported):
    with pytest.raises(LookupError, match="under way"):
        [panics.Object(), {}["under way"]]  # the object dies while the exception is raised
    (error,) = reported
    assert isinstance(error, RuntimeError)
    assert "a planted panic" in str(error)


def test_where_nothing_can_be_raised_the_given_answer_stands(panics):
    mark = object()
    assert panics.endures(mark) is mark
