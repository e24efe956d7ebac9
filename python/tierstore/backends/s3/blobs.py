"""Blobs as objects of one bucket, by boto3 on threads of its own.

A boto3 call cannot be cancelled: at its deadline the caller leaves at once, and the thread goes on until the client's own timeouts
end the call. So the threads are few and bounded, tries are counted here (boto3's own are off), and none starts after the deadline.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import os
import random
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from tierstore.backends import BlobInfo
from tierstore.backends.digests import ALGORITHM, blob_name, digest_of
from tierstore.backends.s3.client import (
    ABSENT,
    STANDS_IN_THE_WAY,
    UNKNOWN_CALL,
    code_of,
    is_passing,
    make_client,
    prepare_bucket,
    translated,
)
from tierstore.config import ObjectConfig
from tierstore.errors import (
    ClosedError,
    ConfigError,
    ConnectionError,
    NotFoundError,
    StorageError,
    TimeoutError,
    ValidationError,
    raise_alone,
)
from tierstore.runtime import Deadline, Runtime

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef, HeadObjectOutputTypeDef

T = TypeVar("T")
Step = Callable[["S3Client"], T]
"""What runs on a thread, given the client."""

TRIES = 3
FIRST_PAUSE_S = 0.05
READ_BYTES = 64 * 1024
MULTIPART_BYTES = 16 * 1024 * 1024
"""From this size on an object goes up in parts, several at once."""
DIGEST_NAME = "sha256"
"""The metadata of an object that has its digest: the checksum of one that went up in parts is another."""
PART_BYTES, MOST_PARTS = 8 * 1024 * 1024, 10_000
LONGEST_PRESIGN_S = 7 * 24 * 3600
"""SigV4 signs for no longer."""


class S3:
    """The `Blobs` of an S3-compatible store. After an `open` that nobody answered it is still usable: the next call prepares the bucket."""

    def __init__(self, runtime: Runtime, config: ObjectConfig) -> None:
        self._runtime = runtime
        self._config = config
        self._closed = False
        self._conditional = True
        self._leaked: list[object] = []
        self._start()

    def _start(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._client: S3Client | None = None
        self._prepared = self._owed = False
        self._threads = ThreadPoolExecutor(self._config.threads, "tierstore-s3")

    async def open(self, deadline: Deadline) -> None:
        """ConfigError or ConnectionError that says "failed to create s3 client" and why."""
        try:
            await self._call(self._prepare, deadline=deadline)
        except (ConnectionError, TimeoutError) as error:
            self._owed = True
            raise_alone(ConnectionError(f"failed to create s3 client: {error}", tier="objects"))
        except StorageError as error:  # it answered
            raise_alone(ConfigError(f"failed to create s3 client: {self._about_bucket(error)}", tier="objects"))

    def _about_bucket(self, error: StorageError) -> str:
        if isinstance(error, NotFoundError):
            return f"the bucket {self._config.bucket!r} does not exist: create it, or name another"
        return str(error)

    def _prepare(self, client: S3Client) -> str:
        if not self._prepared:
            prepare_bucket(client, self._config)
            self._prepared, self._owed = True, False
        head = client.head_bucket(Bucket=self._config.bucket)
        return head["ResponseMetadata"]["HTTPHeaders"].get("server", "s3")

    async def put(self, digest: str, content: bytes, *, deadline: Deadline) -> None:
        if len(content) >= MULTIPART_BYTES:
            await self._put_parts(digest, content, deadline)
            return
        key = self.locate(digest)
        checksum = base64.b64encode(bytes.fromhex(digest)).decode()
        wanted = _Wanted(digest, len(content), checksum)
        await self._call(lambda client: self._put(client, key, content, wanted), deadline=deadline)

    def _put(self, client: S3Client, key: str, content: bytes, wanted: _Wanted) -> None:
        """Stored only if it is not there whole: putting again makes no second version. The server checks the bytes by their SHA-256."""
        where: Any = {"Bucket": self._config.bucket, "Key": key}
        asked = where | {"Body": content, "ChecksumSHA256": wanted.checksum, "Metadata": wanted.metadata}
        self._unless_whole(
            lambda condition: client.put_object(**asked, **condition), lambda: self._is_whole(client, where, wanted)
        )

    def _is_whole(self, client: S3Client, where: Any, wanted: _Wanted) -> bool:
        """Whether the object there has the size and the SHA-256 of the content, as the server knows them."""
        try:
            return wanted.is_in(client.head_object(**where, ChecksumMode="ENABLED"))
        except Exception as error:
            if code_of(error) in ABSENT:  # deleted since it stood in the way
                return False
            raise

    def _unless_whole(self, store: Callable[[Any], object], is_whole: Callable[[], bool]) -> None:
        """Store it if there is nothing, and over what is damaged."""
        try:
            store({"IfNoneMatch": "*"} if self._conditional else {})
        except Exception as error:
            if code_of(error) in STANDS_IN_THE_WAY:
                if not is_whole():
                    store({})
                return
            if code_of(error) not in UNKNOWN_CALL or not self._conditional:
                raise
            self._conditional = False
            store({})

    async def _put_parts(self, digest: str, content: bytes, deadline: Deadline) -> None:
        """Cleaned up by its upload id, never by its digest: another upload of the same content may be under way."""
        where: Any = {"Bucket": self._config.bucket, "Key": self.locate(digest)}
        wanted = _Wanted(digest, len(content), None)
        if await self._call(lambda client: self._is_whole(client, where, wanted), deadline=deadline):
            return
        asked = where | {"ChecksumAlgorithm": "SHA256", "Metadata": wanted.metadata}
        started = await self._call(lambda client: client.create_multipart_upload(**asked), deadline=deadline)
        upload: Any = where | {"UploadId": started["UploadId"]}
        futures: list[Future[CompletedPartTypeDef]] = []
        try:
            for number, start in enumerate(range(0, len(content), part := _part_bytes(len(content))), 1):
                futures.append(self._submit(_PartUpload(upload, number, content, start, part), deadline))
            parts = [await self._result(future, deadline) for future in futures]
            await self._call(lambda client: self._complete(client, where, upload, parts, wanted), deadline=deadline)
        except BaseException:
            self._abort(upload, futures)
            raise

    def _complete(
        self, client: S3Client, where: Any, upload: Any, parts: list[CompletedPartTypeDef], wanted: _Wanted
    ) -> None:
        asked = upload | {"MultipartUpload": {"Parts": parts}}
        try:
            self._unless_whole(
                lambda condition: client.complete_multipart_upload(**asked, **condition),
                lambda: self._is_whole(client, where, wanted),
            )
        except Exception as error:
            if code_of(error) != "NoSuchUpload":
                raise
            client.head_object(**where)  # an earlier try completed it and its answer was lost

    def _abort(self, upload: Any, futures: list[Future[CompletedPartTypeDef]]) -> None:
        """Best effort, after the parts under way have ended; the bucket's lifecycle rule removes what is left."""
        for future in futures:
            future.cancel()

        def step() -> None:
            wait(futures)
            with contextlib.suppress(Exception):
                self._connected().abort_multipart_upload(**upload)

        with contextlib.suppress(RuntimeError):  # closed meanwhile
            self._threads.submit(step)

    async def get(self, digest: str, *, deadline: Deadline) -> bytes:
        key = self.locate(digest)
        return await self._call(lambda client: self._get(client, key, deadline), deadline=deadline)

    def _get(self, client: S3Client, key: str, deadline: Deadline) -> bytes:
        """In pieces, so that a server that trickles holds its thread no longer than the deadline and one piece."""
        body = client.get_object(Bucket=self._config.bucket, Key=key)["Body"]
        pieces = []
        with contextlib.closing(body):
            for piece in body.iter_chunks(READ_BYTES):
                pieces.append(piece)
                deadline.check("reading an object")
        return b"".join(pieces)

    async def exists(self, digest: str, *, deadline: Deadline) -> bool:
        key = self.locate(digest)
        try:
            await self._call(lambda client: client.head_object(Bucket=self._config.bucket, Key=key), deadline=deadline)
        except NotFoundError:
            return False
        return True

    async def delete(self, digest: str, *, deadline: Deadline) -> None:
        key = self.locate(digest)
        await self._call(lambda client: client.delete_object(Bucket=self._config.bucket, Key=key), deadline=deadline)

    async def list(self, *, deadline: Deadline) -> AsyncIterator[BlobInfo]:
        asked: Any = {"Bucket": self._config.bucket, "Prefix": f"{self._config.prefix}{ALGORITHM}/"}
        while True:
            page = await self._call(lambda client: client.list_objects_v2(**asked), deadline=deadline)
            for found in page.get("Contents", ()):
                digest = digest_of(found["Key"].removeprefix(self._config.prefix))
                if digest is not None:
                    yield BlobInfo(digest, found["Size"], int(found["LastModified"].timestamp() * 1_000_000))
            if not page["IsTruncated"]:
                return
            asked["ContinuationToken"] = page["NextContinuationToken"]

    async def presign(self, digest: str, *, verb: Literal["get", "put"], expires_s: int) -> str:
        if not 1 <= expires_s <= LONGEST_PRESIGN_S:
            raise ValidationError(
                f"expires must be from 1 to {LONGEST_PRESIGN_S} seconds, got {expires_s}", place="expires"
            )
        where = {"Bucket": self._config.bucket, "Key": self.locate(digest)}
        self._leave_the_parents()
        return self._connected().generate_presigned_url(f"{verb}_object", Params=where, ExpiresIn=expires_s)

    def locate(self, digest: str) -> str:
        return f"{self._config.prefix}{blob_name(digest)}"

    async def ping(self, deadline: Deadline) -> str:
        return await self._call(self._prepare, deadline=deadline)

    async def close(self, deadline: Deadline) -> None:
        """Calls under way are left to their timeouts; those that wait for a thread are dropped."""
        self._closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._client is not None:
            self._client.close()

    def _connected(self) -> S3Client:
        """The one client of this object, made by the first who needs it: not every thread may make one."""
        with self._lock:
            if self._client is None:
                self._client = make_client(self._config)
            return self._client

    async def _call(self, step: Step[T], *, deadline: Deadline) -> T:
        return await self._result(self._submit(step, deadline), deadline)

    def _submit(self, step: Step[T], deadline: Deadline) -> Future[T]:
        if self._closed:
            raise ClosedError("the object store was closed", tier="objects")
        self._leave_the_parents()
        deadline.check("calling the object store")
        return self._threads.submit(self._tries, step, deadline)

    async def _result(self, future: Future[T], deadline: Deadline) -> T:
        try:
            if self._runtime.face == "blocking":
                wait([future], deadline.remaining())
            else:
                await asyncio.wait({_observed(future)}, timeout=deadline.remaining())
        finally:
            if not future.done():
                future.cancel()
        if future.done() and not future.cancelled():
            return future.result()
        raise TimeoutError(
            "the deadline passed while waiting for the object store; give the call a longer timeout=", tier="objects"
        )

    def _leave_the_parents(self) -> None:
        """In a forked child: client, threads and lock are the parent's; they are leaked, never closed."""
        if self._pid != os.getpid():
            self._leaked += [self._client, self._threads]
            self._start()

    def _tries(self, step: Step[T], deadline: Deadline) -> T:
        pause = FIRST_PAUSE_S
        for left in reversed(range(TRIES)):
            deadline.check("waiting for a thread to call the object store")
            try:
                client = self._connected()
                if self._owed:
                    self._prepare(client)
                return step(client)
            except StorageError:
                raise
            except Exception as error:
                failure = translated(error)
                if failure is None:
                    raise
                if not left or deadline.remaining() <= pause or not is_passing(error):
                    raise_alone(failure)
            time.sleep(pause * random.uniform(0.5, 1))
            pause *= 2
        raise AssertionError("unreachable")


class _Wanted(NamedTuple):
    """What an object must be. `checksum`: base64, of one that goes up in one part; the server makes another of parts."""

    digest: str
    size: int
    checksum: str | None

    @property
    def metadata(self) -> dict[str, str]:
        return {DIGEST_NAME: self.digest}

    def is_in(self, head: HeadObjectOutputTypeDef) -> bool:
        """By the server's checksum where it has one; else by what was written with the object."""
        if head["ContentLength"] != self.size:
            return False
        found = head.get("ChecksumSHA256")
        if self.checksum is not None and found is not None:
            return found == self.checksum
        return head.get("Metadata", {}).get(DIGEST_NAME) == self.digest


class _PartUpload:
    """One part; its bytes are cut out when its turn comes."""

    def __init__(self, upload: Any, number: int, content: bytes, start: int, size: int) -> None:
        self._upload, self._number = upload, number
        self._content, self._range = content, slice(start, start + size)

    def __call__(self, client: S3Client) -> CompletedPartTypeDef:
        part = self._content[self._range]
        checksum = base64.b64encode(hashlib.sha256(part).digest()).decode()
        asked: Any = self._upload | {"PartNumber": self._number, "Body": part, "ChecksumSHA256": checksum}
        answer = client.upload_part(**asked)
        return {"ETag": answer["ETag"], "PartNumber": self._number, "ChecksumSHA256": checksum}


def _part_bytes(size: int) -> int:
    return max(PART_BYTES, -(-size // MOST_PARTS))


def _observed(future: Future[T]) -> asyncio.Future[T]:
    """The future on this loop. Its error counts as seen, since its caller may leave before it comes."""
    wrapped = asyncio.wrap_future(future)
    wrapped.add_done_callback(lambda done: done.cancelled() or done.exception())
    return wrapped
