"""Round the object store: how often it is used, and how large the objects are."""

from __future__ import annotations

from typing import Any

from tierstore.backends import Blobs
from tierstore.runtime import Deadline
from tierstore.telemetry import Telemetry


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
