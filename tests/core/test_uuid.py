"""Identifiers: made in the order of time, and spelled in one way."""

from __future__ import annotations

import os
import time
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierstore._native import canonical_uuid, uuid7
from tierstore.errors import InvalidKeyError


def test_the_layout() -> None:
    before = time.time_ns() // 1_000_000
    made = uuid.UUID(uuid7())
    after = time.time_ns() // 1_000_000
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert before <= made.int >> 80 <= after
    assert str(made) == canonical_uuid(made)


def test_they_differ_and_sort_by_time() -> None:
    made = [uuid7() for _ in range(20_000)]
    assert len(set(made)) == len(made)
    first = uuid7()
    time.sleep(0.001)
    assert first < uuid7()


def test_a_forked_child_makes_others() -> None:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, uuid7().encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 36).decode()[-16:] != uuid7()[-16:]


@given(st.uuids())
def test_every_spelling(value: uuid.UUID) -> None:
    text = str(value)
    for spelling in (value, text, text.upper(), value.hex, "{" + text + "}", value.urn, value.urn.upper()):
        assert canonical_uuid(spelling) == text


@given(st.one_of(st.text(max_size=40), st.from_regex(r"\A[0-9a-f-]{30,38}\Z")))
def test_anything_is_a_uuid_or_an_error(text: str) -> None:
    try:
        canonical = canonical_uuid(text)
    except InvalidKeyError:
        return
    assert uuid.UUID(text) == uuid.UUID(canonical)


@pytest.mark.parametrize("value", [None, 1, b"018f4e2a-0000-7abc-8def-0123456789ab"])
def test_other_types(value: object) -> None:
    with pytest.raises(TypeError):
        canonical_uuid(value)  # type: ignore[arg-type]


def test_a_lone_surrogate_is_no_uuid() -> None:
    with pytest.raises(InvalidKeyError):
        canonical_uuid("\ud800")
