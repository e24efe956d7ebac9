"""What only an object store promises, and what it does when its server misbehaves."""

from __future__ import annotations

import hashlib
import multiprocessing
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.clock import BUSY_S
from tests.conftest import BlockingFace, Face
from tests.contract.test_blobs import PREFIX, Store
from tests.servers.http_proxy import Proxy, cut_body, http_proxy, instead
from tierstore.backends.s3.blobs import MULTIPART_BYTES, S3
from tierstore.errors import (
    ClosedError,
    ConfigError,
    ConnectionError,
    NotFoundError,
    StorageError,
    TimeoutError,
    ValidationError,
)
from tierstore.runtime import ThreadsRuntime

CONTENT = b"content" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def make(face: Face, s3_server, bucket: str) -> Iterator[Callable[..., Store]]:
    """A store on the server; settings of ObjectConfig as keywords."""
    made: list[Store] = []

    def build(bucket: str = bucket, **settings: Any) -> Store:
        runtime = face.runtime()
        config = s3_server.config(bucket, **{"prefix": PREFIX, **settings})
        made.append(Store(face, runtime, S3(runtime, config)))
        return made[-1]

    yield build
    for store in made:
        store.call("close")
        face.run(store.runtime.close)


@pytest.fixture
def proxied(make, s3_server) -> Iterator[tuple[Store, Proxy]]:
    with http_proxy(s3_server.port) as proxy:
        store = make(endpoint_url=proxy.url)
        store.call("open")
        proxy.seen.clear()
        yield store, proxy


@pytest.mark.requirement("S1-32")
def test_presigned_urls_need_no_credentials_and_are_held_to_their_time(make):
    store = make()
    with urllib.request.urlopen(
        urllib.request.Request(store.presign(DIGEST, "put", 60), data=CONTENT, method="PUT"), timeout=10
    ) as reply:
        assert reply.status == 200
    with urllib.request.urlopen(store.presign(DIGEST, "get", 60), timeout=10) as reply:
        assert reply.read() == CONTENT
    short = store.presign(DIGEST, "get", 1)
    time.sleep(2.1)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(short, timeout=10)
    refused.value.close()
    assert refused.value.code == 403


@pytest.mark.parametrize("expires_s", [0, -1, 7 * 24 * 3600 + 1])
def test_a_presigned_url_for_no_time_or_too_long_is_refused(make, expires_s: int):
    with pytest.raises(ValidationError):
        make().presign(DIGEST, "get", expires_s)


@pytest.mark.requirement("S1-33")
def test_versioning_is_set_and_a_server_without_lifecycle_rules_is_passed_over(make, s3_server, bucket, caplog):
    store = make(versioning=True, expire_noncurrent_days=30)
    store.call("open")
    client = s3_server.client()
    assert client.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    client.close()
    told = [record.getMessage() for record in caplog.records]
    assert any("lifecycle rules" in message and "NotImplemented" in message for message in told)
    assert store.call("get", store.put(CONTENT)) == CONTENT


@pytest.mark.requirement("S1-33")
def test_large_content_goes_up_in_parts_and_comes_back(proxied):
    store, proxy = proxied
    content = b"0123456789abcdef" * (MULTIPART_BYTES // 16) + b"end"
    assert store.call("get", store.put(content)) == content
    assert sum("partNumber=" in line for line in proxy.seen) == 3


@pytest.mark.requirement("S1-33")
def test_an_upload_that_fails_leaves_no_parts_behind(make, s3_server, bucket):
    with http_proxy(s3_server.port) as proxy:
        store = make(endpoint_url=proxy.url, threads=1)
        true: Callable[..., Any] = lambda method, path, reply: reply  # noqa: E731
        proxy.faults += [true, true, true, instead(403, "AccessDenied")]  # head, create, part 1, part 2
        with pytest.raises(ConfigError):
            store.put(b"x" * MULTIPART_BYTES)
        client = s3_server.client()
        left = [1]
        for _ in range(100):
            left = client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
            if not left:
                break
            time.sleep(0.02)
        client.close()
        assert left == []


def test_an_upload_completed_without_an_answer_counts_as_done(proxied):
    store, proxy = proxied

    def lose_completion(method: str, path: str, reply: Any) -> Any:
        if method == "POST" and "uploadId=" in path:
            return instead(503, "SlowDown")(method, path, reply)
        proxy.faults.append(lose_completion)
        return reply

    proxy.faults.append(lose_completion)
    content = b"y" * MULTIPART_BYTES
    assert store.call("get", store.put(content)) == content


@pytest.mark.requirement("S0-10")
def test_a_bucket_that_is_not_there_fails_at_open_with_its_name(make):
    with pytest.raises(ConfigError, match=r"failed to create s3 client: .*'no-such-bucket'"):
        make(bucket="no-such-bucket").call("open")


@pytest.mark.requirement("S0-10")
def test_wrong_credentials_fail_at_open_without_showing_them(make):
    with pytest.raises(ConfigError, match="failed to create s3 client") as refused:
        make(secret_key="not-the-secret").call("open")
    assert "not-the-secret" not in str(refused.value)


@pytest.mark.requirement("S0-10")
@pytest.mark.parametrize("endpoint_url", ["no scheme", "http://"])
def test_an_address_that_is_none_fails_at_open(make, endpoint_url: str):
    with pytest.raises(ConfigError, match="failed to create s3 client"):
        make(endpoint_url=endpoint_url).call("open")


@pytest.mark.requirement("S0-10")
def test_a_stopped_server_fails_open_at_once_and_serves_once_it_runs(make, s3_server):
    store = make()
    s3_server.stop()
    began = time.monotonic()
    with pytest.raises(ConnectionError, match="failed to create s3 client"):
        store.call("open")
    assert time.monotonic() - began < 3 + BUSY_S
    s3_server.start()
    assert store.call("ping")
    assert store.call("get", store.put(CONTENT)) == CONTENT


def test_a_server_stopped_in_between_is_a_connection_error_and_then_serves_again(make, s3_server):
    store = make()
    store.call("open")
    store.put(CONTENT)
    s3_server.stop()
    with pytest.raises(ConnectionError):
        store.call("get", DIGEST)
    s3_server.start()
    assert store.call("get", DIGEST) == CONTENT


def test_at_the_deadline_the_caller_leaves_a_paused_server(make, s3_server):
    store = make()
    store.call("open")
    s3_server.pause()
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        store.call("get", DIGEST, timeout=0.3)
    assert time.monotonic() - began < 0.6 + BUSY_S
    s3_server.resume()
    assert store.call("exists", DIGEST) is False


def test_a_server_that_stays_silent_is_given_up_after_the_read_timeout(make, s3_server):
    store = make(read_timeout=0.2)
    store.call("open")
    s3_server.pause()
    with pytest.raises(ConnectionError, match="did not answer"):
        store.call("get", DIGEST)
    s3_server.resume()


@pytest.mark.parametrize("kept", [0, 1, 6999])
def test_a_body_cut_short_is_read_again(proxied, kept: int):
    store, proxy = proxied
    store.put(CONTENT)
    proxy.faults.append(cut_body(kept))
    assert store.call("get", DIGEST) == CONTENT


def test_a_body_cut_short_every_time_is_an_error_and_never_content(proxied):
    store, proxy = proxied
    store.put(CONTENT)
    proxy.faults += [cut_body(100)] * 3
    with pytest.raises(ConnectionError):
        store.call("get", DIGEST)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_error_after_storing_is_tried_again_and_stores_once(proxied, status: int, s3_server, bucket):
    store, proxy = proxied
    proxy.faults.append(instead(status, "SlowDown"))
    assert store.put(CONTENT) == DIGEST
    assert [seen.split()[0] for seen in proxy.seen] == ["PUT", "PUT", "HEAD"], "what is there already is looked at"
    assert store.call("get", DIGEST) == CONTENT


def test_a_server_that_keeps_failing_is_a_connection_error_after_three_tries(proxied):
    store, proxy = proxied
    proxy.faults += [instead(503, "ServiceUnavailable")] * 3
    with pytest.raises(ConnectionError, match="ServiceUnavailable"):
        store.put(CONTENT)
    assert len(proxy.seen) == 3


def test_a_server_without_conditional_puts_is_asked_without(proxied):
    store, proxy = proxied
    proxy.faults.append(instead(501, "NotImplemented"))
    store.put(CONTENT)
    assert store.call("get", DIGEST) == CONTENT


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (403, "AccessDenied", ConfigError),
        (404, "NoSuchKey", NotFoundError),
        (404, "NoSuchBucket", ConfigError),
        (400, "InvalidArgument", StorageError),
    ],
)
def test_answers_are_translated_by_their_code(proxied, status: int, code: str, error: type[Exception]):
    store, proxy = proxied
    proxy.faults.append(instead(status, code))
    with pytest.raises(error, match=code):
        store.call("get", DIGEST)
    assert len(proxy.seen) == 1


def test_bytes_that_do_not_match_their_digest_are_refused_by_the_server(make):
    store = make()
    with pytest.raises(StorageError):
        store.call("put", DIGEST, b"other content")
    assert store.call("exists", DIGEST) is False


def test_a_closed_store_says_so(make):
    store = make()
    store.call("close")
    with pytest.raises(ClosedError):
        store.call("get", DIGEST)


def test_more_callers_than_threads_all_finish(make):
    store = make(threads=2)
    store.put(CONTENT)

    async def get() -> bytes:
        return await store.blobs.get(DIGEST, deadline=store.runtime.deadline(20))

    async def run() -> list[bytes]:
        return await store.runtime.gather([get() for _ in range(40)])

    assert store.face.run(run) == [CONTENT] * 40


def test_a_forked_child_starts_anew_and_leaves_the_parents_connections_alone(s3_server, bucket: str):
    runtime = ThreadsRuntime()
    store = Store(BlockingFace(), runtime, S3(runtime, s3_server.config(bucket, prefix=PREFIX)))
    store.put(CONTENT)
    child = multiprocessing.get_context("fork").Process(target=_get_in_child, args=(store,))
    child.start()
    child.join(20)
    assert child.exitcode == 0
    assert store.call("get", DIGEST) == CONTENT
    store.call("close")


def _get_in_child(store: Store) -> None:
    assert store.call("get", DIGEST) == CONTENT
