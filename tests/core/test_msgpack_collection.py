"""The collection of others, an extra: only where TIERSTORE_TEST_DATA names the folder that holds it is there anything to test."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.core.msgpack_table import moment
from tierstore import codec


def octets(shown: str) -> bytes:
    return bytes.fromhex(shown.replace("-", ""))


def expected(case: dict[str, Any]) -> Any:
    if "bignum" in case:
        return int(case["bignum"])
    if "binary" in case:
        return octets(case["binary"])
    if "ext" in case:
        return codec.Ext(case["ext"][0], octets(case["ext"][1]))
    if "timestamp" in case:
        return moment(*case["timestamp"])
    return next(value for name, value in case.items() if name != "msgpack")


if FOLDER := os.environ.get("TIERSTORE_TEST_DATA"):
    GROUPS = json.loads((Path(FOLDER) / "msgpack-test-suite.json").read_text())

    @pytest.mark.parametrize("case", [case for group in GROUPS.values() for case in group], ids=repr)
    def test_a_case_is_read_in_every_form_and_written_in_one(case: dict[str, Any]):
        value, encodings = expected(case), [octets(one) for one in case["msgpack"]]
        for encoding in encodings:
            found = codec.msgpack_decode(encoding)
            assert found == value
            assert isinstance(found, bool) == isinstance(value, bool)
            assert codec.msgpack_encode(found) in encodings
        assert codec.msgpack_encode(value) in encodings
