"""Round a driver: how long the database takes, how often the object store is used and how large its objects are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

from tierstore.backends import Blobs, Fenced, Params, Records, Row, Unit
from tierstore.runtime import Deadline
from tierstore.telemetry import Telemetry

NOTHING: Final[Params] = {}


class TimedRecords:
    """Records whose reads and transactions are observed as `schema_registry.query.duration_seconds`. Used when telemetry is on."""

    def __init__(self, records: Records, telemetry: Telemetry, clock: Callable[[], float]) -> None:
        self._records = records
        self._telemetry = telemetry
        self._clock = clock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)

    async def fetch(self, query: str, params: Params = NOTHING, **options: Any) -> list[Row]:
        with self._timed():
            return await self._records.fetch(query, params, **options)

    async def write(self, query: str, params: Params = NOTHING, **options: Any) -> list[Row]:
        with self._timed():
            return await self._records.write(query, params, **options)

    async def fetch_fenced(self, query: str, params: Params = NOTHING, **options: Any) -> Fenced:
        with self._timed():
            return await self._records.fetch_fenced(query, params, **options)

    @asynccontextmanager
    async def unit(self, *, deadline: Deadline, idempotency_key: str | None = None) -> AsyncIterator[Unit]:
        with self._timed():
            async with self._records.unit(deadline=deadline, idempotency_key=idempotency_key) as unit:
                yield unit

    @contextmanager
    def _timed(self) -> Iterator[None]:
        started = self._clock()
        try:
            yield
        finally:
            self._telemetry.observe("schema_registry.query.duration_seconds", self._clock() - started)


class CountedBlobs:
    """Blobs that count their uploads and downloads, and observe their sizes."""

    def __init__(self, blobs: Blobs, telemetry: Telemetry) -> None:
        self._blobs = blobs
        self._telemetry = telemetry
        self.uploads = self.downloads = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._blobs, name)

    async def put(self, digest: str, content: bytes, *, deadline: Deadline) -> None:
        await self._blobs.put(digest, content, deadline=deadline)
        self.uploads += 1
        self._telemetry.observe("schema_registry.s3.upload_size_bytes", len(content))

    async def get(self, digest: str, *, deadline: Deadline) -> bytes:
        content = await self._blobs.get(digest, deadline=deadline)
        self.downloads += 1
        self._telemetry.observe("schema_registry.s3.download_size_bytes", len(content))
        return content
