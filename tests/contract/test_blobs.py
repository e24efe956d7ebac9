"""The contract of `Blobs`: one suite on every backend and in both faces. A new backend is one line in `BACKENDS`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Face
from tierstore.backends import Blobs
from tierstore.backends.folder.blobs import Folder
from tierstore.backends.s3.blobs import MULTIPART_BYTES, S3
from tierstore.errors import InvalidKeyError, NotFoundError, TimeoutError
from tierstore.runtime import Runtime

TIMEOUT_S = 20
PREFIX = "schemas/"


def make_folder(runtime: Runtime, request: pytest.FixtureRequest) -> Blobs:
    return Folder(runtime, request.getfixturevalue("tmp_path") / "blobs")


def make_s3(runtime: Runtime, request: pytest.FixtureRequest) -> Blobs:
    server = request.getfixturevalue("s3_server")
    return S3(runtime, server.config(request.getfixturevalue("bucket"), prefix=PREFIX))


BACKENDS: dict[str, Callable[[Runtime, pytest.FixtureRequest], Blobs]] = {"folder": make_folder, "s3": make_s3}


class Store:
    """The blobs under test, called without a word about faces and deadlines."""

    def __init__(self, face: Face, runtime: Runtime, blobs: Blobs) -> None:
        self.face, self.runtime, self.blobs = face, runtime, blobs

    def call(self, method: str, *arguments: Any, timeout: float = TIMEOUT_S) -> Any:
        async def run() -> Any:
            deadline = self.runtime.deadline(timeout)
            if method in ("open", "ping", "close"):
                return await getattr(self.blobs, method)(deadline)
            return await getattr(self.blobs, method)(*arguments, deadline=deadline)

        return self.face.run(run)

    def put(self, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        self.call("put", digest, content)
        return digest

    def list(self) -> list[Any]:
        async def run() -> list[Any]:
            return [info async for info in self.blobs.list(deadline=self.runtime.deadline(TIMEOUT_S))]

        return self.face.run(run)

    def presign(self, digest: str, verb: str, expires_s: int) -> str:
        return self.face.run(lambda: self.blobs.presign(digest, verb=verb, expires_s=expires_s))


@pytest.fixture(params=BACKENDS)
def store(request: pytest.FixtureRequest, face: Face) -> Iterator[Store]:
    runtime = face.runtime()
    made = Store(face, runtime, BACKENDS[request.param](runtime, request))
    made.call("open")
    yield made
    made.call("close")
    face.run(runtime.close)


@pytest.mark.requirement("S0-09", "S1-31")
@pytest.mark.parametrize("size", [0, 1, 65_537, 1_048_576, MULTIPART_BYTES + 1], ids="{} bytes".format)
def test_what_was_put_is_got(store: Store, size: int):
    content = (b"tierstore" * (size // 9 + 1))[:size]
    assert store.call("get", store.put(content)) == content


@pytest.mark.requirement("S1-34")
def test_exists_tells_the_present_from_the_absent(store: Store):
    digest = store.put(b"here")
    assert store.call("exists", digest) is True
    assert store.call("exists", "0" * 64) is False


def test_getting_the_absent_is_not_found(store: Store):
    with pytest.raises(NotFoundError):
        store.call("get", "0" * 64)


def test_putting_again_is_no_error(store: Store):
    assert store.put(b"twice") == store.put(b"twice")
    assert [info.size for info in store.list()] == [5]


def test_deleted_is_gone_and_deleting_again_is_no_error(store: Store):
    digest = store.put(b"short life")
    store.call("delete", digest)
    assert store.call("exists", digest) is False
    store.call("delete", digest)


def test_list_names_every_blob_with_size_and_time(store: Store):
    now_us = 1_600_000_000_000_000
    digests = {store.put(bytes([number]) * number): number for number in range(1, 20)}
    found = store.list()
    assert {info.digest: info.size for info in found} == digests
    assert all(info.modified_us > now_us for info in found)


def test_list_of_nothing_is_empty(store: Store):
    assert store.list() == []


def test_the_place_ends_with_the_sharded_digest(store: Store):
    digest = hashlib.sha256(b"x").hexdigest()
    assert store.blobs.locate(digest).endswith(f"sha256/{digest[:2]}/{digest}")


@pytest.mark.parametrize("digest", ["", "../" * 2 + "etc/passwd", "A" * 64, "0" * 63, "0" * 64 + "\n"])
def test_what_is_no_digest_is_refused_before_anything_is_touched(store: Store, digest: str):
    for call in (
        lambda: store.call("get", digest),
        lambda: store.call("put", digest, b""),
        lambda: store.blobs.locate(digest),
    ):
        with pytest.raises(InvalidKeyError):
            call()
    assert store.list() == []


def test_a_deadline_that_passed_is_a_timeout(store: Store):
    with pytest.raises(TimeoutError):
        store.call("get", "0" * 64, timeout=0)


@pytest.mark.requirement("S1-67")
def test_ping_answers_what_it_is(store: Store):
    assert store.call("ping")


def test_many_at_once(store: Store):
    contents = [bytes([number]) * 1000 for number in range(50)]

    async def put(content: bytes) -> None:
        digest = hashlib.sha256(content).hexdigest()
        await store.blobs.put(digest, content, deadline=store.runtime.deadline(TIMEOUT_S))

    async def run() -> None:
        await store.runtime.gather([put(content) for content in contents])

    store.face.run(run)
    assert len(store.list()) == 50


@pytest.mark.parametrize("size", [70_000, MULTIPART_BYTES + 1], ids="{} bytes".format)
@pytest.mark.parametrize("how", ["same size", "cut short"])
def test_putting_again_replaces_what_is_damaged(store: Store, size: int, how: str):
    content = (b"tierstore" * (size // 9 + 1))[:size]
    digest = store.put(content)
    damaged = b"X" + content[1:] if how == "same size" else content[:-1]
    if isinstance(store.blobs, Folder):
        Path(store.blobs.locate(digest)).write_bytes(damaged)
    else:
        client, bucket = store.blobs._connected(), store.blobs._config.bucket
        client.put_object(Bucket=bucket, Key=store.blobs.locate(digest), Body=damaged)
    assert store.call("get", digest) == damaged
    store.put(content)
    assert store.call("get", digest) == content
