"""Every .proto file of googleapis-common-protos and grpcio-tools, and mutants of small ones, beside protoc itself."""

from __future__ import annotations

import random
import re
from importlib.metadata import distribution
from pathlib import Path

import pytest

from tests.core.proto_judge import WELL_KNOWN, Verdict, descriptors, judge, verdict
from tests.core.proto_seeds import SEEDS, mutant
from tierstore.proto import ProtoFile, ProtoSyntaxError, parse_imports, parse_many

COMMON = distribution("googleapis-common-protos")
MUTANTS = 40
OF_THE_PARSER = re.compile(
    r"Expected|Missing|Unexpected|Reached|Unmatched|Interpreting|Need space|Invalid|Multiline|Integer out"
)


def sources() -> dict[str, bytes]:
    """By the name that an import would use."""
    found = {str(path.relative_to(WELL_KNOWN)): path.read_bytes() for path in Path(WELL_KNOWN).rglob("*.proto")}
    for path in COMMON.files or []:
        if path.suffix == ".proto":
            found.setdefault(str(path), path.read_binary())
    return found


def as_verdict(file: ProtoFile) -> Verdict:
    imports = [(found.path, found.kind, found.line, found.column) for found in file.imports]
    return Verdict(imports, file.package, file.syntax, file.edition, None)


@pytest.mark.requirement("S5-03")
@pytest.mark.parametrize("strict", [False, True])
def test_every_file_of_both_packages(tmp_path: Path, strict: bool) -> None:
    files = sources()
    assert len(files) > 70
    judged = descriptors([WELL_KNOWN, str(COMMON.locate_file(""))], list(files), tmp_path)
    for name, source in files.items():
        assert as_verdict(parse_imports(source, strict=strict)) == verdict(judged[name]), name


@pytest.mark.parametrize("seed", range(MUTANTS))
def test_mutants_are_refused_where_protoc_refuses_them(seed: int, tmp_path: Path) -> None:
    """Its linker refuses more: what only it refuses must parse."""
    for name in "abc":
        (tmp_path / f"{name}.proto").write_text('syntax = "proto3";')
    source = mutant(random.Random(seed))
    expected = judge(source, tmp_path)
    ours = answer(source)
    if isinstance(ours, ProtoSyntaxError):
        assert expected.error is not None, (source, ours)
        assert (ours.line, ours.column) == expected.error[:2], source
        assert ours.message.splitlines()[0].startswith(expected.error[2]), source
    elif expected.error is None:
        assert as_verdict(ours) == expected, source
    else:
        assert not OF_THE_PARSER.match(expected.error[2]), (source, expected.error)


def answer(source: bytes) -> ProtoFile | ProtoSyntaxError:
    return parse_many([source], strict=True)[0]


def test_seeds_are_of_both_kinds() -> None:
    kinds = {type(answer(source)) for source in SEEDS}
    assert kinds == {ProtoFile, ProtoSyntaxError}
