"""What the module store decides without I/O: the digest of a version, its states, revisions of what is said, keys."""

from __future__ import annotations

import hashlib

import pytest

from tierstore import errors
from tierstore._native import digest as digest_of
from tierstore.plan.described import Revision
from tierstore.plan.modules import LIFECYCLE, check_files, check_version, files_digest, with_digests
from tierstore.plan.versions import pair_of, pair_text

FILES = {"b.proto": b"b", "a/c.proto": b"", "a.proto": b"a"}


def test_the_digest_of_a_version_is_that_of_its_lines():
    """So that anybody can compute it: `sha256sum` of the files by path, itself summed."""
    lines = "".join(f"{hashlib.sha256(FILES[path]).hexdigest()} {path}\n" for path in sorted(FILES))
    found = files_digest((path, digest_of(content)) for path, content in FILES.items())
    assert found == hashlib.sha256(lines.encode()).hexdigest()
    assert files_digest([]) == hashlib.sha256(b"").hexdigest()


def test_the_digest_tells_paths_contents_and_places_apart():
    one = {"a": b"1", "b": b"2"}
    others = [{"a": b"2", "b": b"1"}, {"a": b"1"}, {"a": b"1", "c": b"2"}, {"a": b"1", "b": b"2", "c": b""}, {}]
    digests = {files_digest((path, digest_of(content)) for path, content in each.items()) for each in [one, *others]}
    assert len(digests) == 6


def test_files_are_taken_in_the_order_of_their_paths():
    checked = check_files(dict(FILES, **{"d.proto": bytearray(b"d"), "e.proto": memoryview(b"e")}))
    assert list(checked) == sorted(checked)
    assert [file.path for file in with_digests(checked)] == list(checked)
    assert [type(content) for content in checked.values()] == [bytes] * 5


def test_every_move_of_the_lifecycle():
    legal = {("draft", "published"), ("published", "deprecated"), ("deprecated", "published")}
    legal |= {(state, "archived") for state in ("draft", "published", "deprecated")}
    for current in LIFECYCLE.states:
        for wanted in LIFECYCLE.states:
            if (current, wanted) in legal:
                LIFECYCLE.check_move(current, wanted)
            else:
                with pytest.raises(errors.ConflictError):
                    LIFECYCLE.check_move(current, wanted)


def test_a_version_without_its_build_metadata():
    identity, version = check_version("1.2.3-rc.1+build.5")
    assert (identity, str(version)) == ("1.2.3-rc.1", "1.2.3-rc.1+build.5")


@pytest.mark.parametrize("pair", [("acme/common", "1.0.0"), ("a", "1.0.0-x.1"), ("a.b_c-d/e", "10.0.0")])
def test_a_pair_is_one_text_and_comes_back(pair: tuple[str, str]):
    assert pair_of(pair_text(pair)) == pair


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((None, None, None), '{"description":"d","n":1,"tags":["a"]}'),
        (("e", None, None), '{"description":"e","n":1,"tags":["a"]}'),
        (("", None, None), '{"n":1,"tags":["a"]}'),
        ((None, [], None), '{"description":"d","n":1}'),
        ((None, ["b", "b"], None), '{"description":"d","n":1,"tags":["b"]}'),
        ((None, None, {}), '{"description":"d","tags":["a"]}'),
        ((None, None, {"m": 2, "tags": ["c"]}), '{"description":"d","m":2,"tags":["c"]}'),
        (("f", ["d"], {"tags": ["c"], "description": "g"}), '{"description":"f","tags":["d"]}'),
    ],
)
def test_a_revision_keeps_what_it_does_not_name(given, expected):
    assert Revision(*given).of({"n": 1, "tags": ["a"], "description": "d"}) == expected
