"""Every case of `tests/data`: the imports that protoc's parser reads, or the first error that it prints."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tierstore.proto import ProtoSyntaxError, parse_imports, parse_many

CASES = Path(__file__).parents[1] / "data" / "proto_cases.jsonl"


def cases() -> list[dict[str, Any]]:
    return [json.loads(line) for line in CASES.read_text().splitlines()]


def source_of(case: dict[str, Any]) -> bytes:
    return case["source"].encode() if "source" in case else base64.b64decode(case["source_b64"])


def read(source: bytes, *, strict: bool) -> dict[str, Any]:
    file = parse_imports(source, strict=strict)
    imports = [{"path": i.path, "kind": i.kind, "line": i.line, "col": i.column} for i in file.imports]
    return {"imports": imports, "package": file.package, "syntax": file.syntax, "edition": file.edition}


def in_file_order(case: dict[str, Any]) -> dict[str, Any]:
    keys = ("imports", "package", "syntax", "edition")
    expected = {key: case[key] for key in keys}
    return expected | {"imports": sorted(case["imports"], key=lambda found: (found["line"], found["col"]))}


@pytest.mark.requirement("S5-03")
@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("case", cases(), ids=lambda case: case["name"])
def test_case_is_read_as_protoc_reads_it(case: dict[str, Any], strict: bool) -> None:
    if case["parse_ok"]:
        assert read(source_of(case), strict=strict) == in_file_order(case)
        return
    with pytest.raises(ProtoSyntaxError) as refused:
        parse_imports(source_of(case), strict=strict)
    error = refused.value
    place = f" (line {error.line}, column {error.column})"
    assert f"{error.line}:{error.column}: {error.message.removesuffix(place)}" == case["parse_errors"][0]


def test_the_collection_is_whole() -> None:
    assert len(cases()) == 89


def test_many_at_once_are_the_same_as_one_by_one() -> None:
    sources = [source_of(case) for case in cases()]
    for case, result in zip(cases(), parse_many(iter(sources)), strict=True):
        if case["parse_ok"]:
            assert result == parse_imports(source_of(case))
        else:
            assert isinstance(result, ProtoSyntaxError)
