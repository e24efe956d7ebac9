"""A lockfile: the same bytes each time, read strictly, and compared with what there is."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierstore.errors import ValidationError
from tierstore.plan.lockfile import Locked, Lockfile, LockProblem, Requirement, lock_problems

A, B, C = ("a" * 64, "b" * 64, "c" * 64)
COMMON = Locked("acme/common", "1.2.0", A, {"acme/money.proto": B, "acme/é.proto": C})
ORDERS = Locked("acme/orders", "2.0.0-rc.1+7", B, {"orders.proto": A})
GONE = Requirement("acme/orders@2.0.0-rc.1+7", "acme/gone", ">=1 <2")
LOCKFILE = Lockfile("acme/app@1.0.0", (COMMON, ORDERS), (GONE,))
TEXT = """{
  "entries": [
    {
      "digest": "AAAA",
      "files": {
        "acme/money.proto": "BBBB",
        "acme/é.proto": "CCCC"
      },
      "name": "acme/common",
      "version": "1.2.0"
    },
    {
      "digest": "BBBB",
      "files": {
        "orders.proto": "AAAA"
      },
      "name": "acme/orders",
      "version": "2.0.0-rc.1+7"
    }
  ],
  "format": 1,
  "missing": [
    {
      "by": "acme/orders@2.0.0-rc.1+7",
      "constraint": ">=1 <2",
      "module": "acme/gone"
    }
  ],
  "root": "acme/app@1.0.0"
}
"""
TEXT = TEXT.replace("AAAA", A).replace("BBBB", B).replace("CCCC", C)


def test_the_text_is_always_the_same() -> None:
    assert LOCKFILE.to_json() == TEXT
    turned = Locked(COMMON.name, COMMON.version, A, dict(reversed(COMMON.files.items())))
    assert Lockfile(LOCKFILE.root, (ORDERS, turned), (GONE,)).to_json() == TEXT


def test_the_text_is_read_as_str_and_as_bytes_however_it_is_laid_out() -> None:
    assert Lockfile.from_json(TEXT) == LOCKFILE
    assert Lockfile.from_json(TEXT.encode()) == LOCKFILE
    plain = json.loads(TEXT)
    plain["entries"].reverse()
    assert Lockfile.from_json(json.dumps(plain)) == LOCKFILE
    assert Lockfile.from_json(json.dumps(plain)).to_json() == TEXT


DIGESTS = st.binary(min_size=32, max_size=32).map(bytes.hex)
NAMES = st.from_regex(r"\A[A-Za-z0-9._-]{1,9}(/[a-z]{1,5})?\Z")
ENTRIES = st.builds(
    Locked,
    NAMES,
    st.sampled_from(["1.0.0", "0.0.1-rc.1", "10.2.3+b"]),
    DIGESTS,
    st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=9), DIGESTS, max_size=4),
)


@given(st.lists(ENTRIES, unique_by=lambda entry: entry.name, max_size=5))
def test_what_is_written_is_read(entries: list[Locked]) -> None:
    ordered = tuple(sorted(entries, key=lambda entry: entry.name))
    lockfile = Lockfile("app@1.0.0", ordered)
    assert Lockfile.from_json(lockfile.to_json()) == lockfile
    assert Lockfile("app@1.0.0", tuple(entries)).to_json() == lockfile.to_json()


BAD = [
    ((), 1, "/", "expected an object"),
    ((), {}, "/", "expected a field 'format'"),
    (("format",), 2, "/format", "this version of tierstore reads format 1 only"),
    (("format",), True, "/format", "this version of tierstore reads format 1 only"),
    (("format",), "1", "/format", "this version of tierstore reads format 1 only"),
    (("more",), 1, "/more", "unknown field"),
    (("root",), "acme/app", "/root", "expected the name of a module"),
    (("root",), "@1.0.0", "/root", "expected the name of a module"),
    (("root",), "acme/app@1", "/root", "expected a version such as 1.2.3"),
    (("root",), None, "/root", "expected a string"),
    (("entries",), {}, "/entries", "expected an array"),
    (("entries", 0), [], "/entries/0", "expected an object"),
    (("entries", 1, "name"), "", "/entries/1/name", "expected the name of a module"),
    (("entries", 1, "name"), "acme/common", "/entries/1/name", "expected each module once"),
    (("entries", 1, "version"), "v1", "/entries/1/version", "expected a version such as 1.2.3"),
    (("entries", 1, "version"), 1.2, "/entries/1/version", "expected a string"),
    (("entries", 0, "digest"), "A" * 64, "/entries/0/digest", "expected a digest of 64 hexadecimal digits"),
    (("entries", 0, "files"), ["a"], "/entries/0/files", "expected an object of digests by path"),
    (("entries", 0, "files", "acme/money.proto"), A[1:], "/entries/0/files/acme~1money.proto", "expected a digest"),
    (("missing", 0), "acme/gone", "/missing/0", "expected an object"),
    (("missing", 0, "module"), 1, "/missing/0/module", "expected the name of a module"),
    (("missing", 0, "constraint"), 1, "/missing/0/constraint", "expected a string"),
    (("missing", 0, "constraint"), ">=1,2", "/missing/0/constraint, column 4", "separate the parts with spaces"),
]


@pytest.mark.parametrize(("path", "value", "place", "message"), BAD, ids=range(len(BAD)))
def test_a_fault_has_its_place(path: tuple[str | int, ...], value: object, place: str, message: str) -> None:
    plain = json.loads(TEXT)
    at = plain
    for part in path[:-1]:
        at = at[part]
    if path:
        at[path[-1]] = value
    with pytest.raises(ValidationError, match=message) as refused:
        Lockfile.from_json(json.dumps(plain if path else value))
    assert refused.value.place == place


@pytest.mark.parametrize("field", ["format", "root", "entries", "missing"])
def test_every_field_is_needed(field: str) -> None:
    plain = json.loads(TEXT)
    del plain[field]
    with pytest.raises(ValidationError, match=f"expected a field '{field}'"):
        Lockfile.from_json(json.dumps(plain))


@pytest.mark.parametrize("text", ["", "{", TEXT[:-3], b"\xff", "\ud800", TEXT + "{}", "[" * 100_000, 7, None])
def test_what_is_no_json_is_a_validation_error(text: object) -> None:
    with pytest.raises(ValidationError, match=r"must be JSON|must be str or bytes") as refused:
        Lockfile.from_json(text)
    assert refused.value.place


def test_every_cut_and_every_change_of_a_byte_is_read_or_refused() -> None:
    rng = random.Random(3)
    content = TEXT.encode()
    for _ in range(3_000):
        changed = bytearray(content)
        changed[rng.randrange(len(changed))] = rng.choice(b'{}[]",:0a\x00\xff \\')
        try:
            lockfile = Lockfile.from_json(bytes(changed[: rng.choice((len(changed), rng.randrange(len(changed))))]))
        except ValidationError:
            continue
        assert Lockfile.from_json(lockfile.to_json()) == lockfile


def stored(*entries: Locked) -> dict[tuple[str, str], Locked]:
    return {(entry.name, entry.version): entry for entry in entries}


def test_what_has_not_changed_has_no_problems() -> None:
    assert lock_problems(Lockfile("app@1.0.0", (COMMON, ORDERS)), stored(COMMON, ORDERS)) == []


def test_problems() -> None:
    changed = Locked("acme/common", "1.2.0", C, {"acme/money.proto": A, "new.proto": B})
    assert lock_problems(LOCKFILE, stored(changed)) == [
        LockProblem("module_missing", "acme/gone", None),
        LockProblem("file_changed", "acme/common", "1.2.0", "acme/money.proto", B, A),
        LockProblem("file_missing", "acme/common", "1.2.0", "acme/é.proto", C, None),
        LockProblem("file_added", "acme/common", "1.2.0", "new.proto", None, B),
        LockProblem("version_missing", "acme/orders", "2.0.0-rc.1+7", expected=B),
    ]


def test_a_digest_is_a_problem_where_no_file_says_why() -> None:
    other = Locked("acme/common", "1.2.0", C, COMMON.files)
    assert lock_problems(Lockfile("app@1.0.0", (COMMON,)), stored(other)) == [
        LockProblem("digest_changed", "acme/common", "1.2.0", None, A, C)
    ]
