"""Reading many files of versions: their contents a batch at a time, and what the .proto files among them say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, TypeVar

from tierstore.calls.scope import Scope
from tierstore.errors import ProtoSyntaxError
from tierstore.plan.batches import batches
from tierstore.plan.imports import PROTO
from tierstore.proto import ProtoFile, parse_many
from tierstore.runtime import Deadline
from tierstore.stores.modules.model import FileInfo
from tierstore.stores.modules.parts import ModuleParts

BATCH_BYTES = 16 * 1024 * 1024
BATCH_FILES = 500
Parsed = ProtoFile | ProtoSyntaxError
S = TypeVar("S")


class Reading(NamedTuple):
    """The contents of files, in the scope of a call and until its deadline."""

    scope: Scope
    parts: ModuleParts
    deadline: Deadline

    async def contents(self, infos: Iterable[FileInfo]) -> dict[str, bytes]:
        """By digest."""
        sizes = {info.digest: info.size for info in infos}
        return await self.scope.contents(self.parts.blobs, sizes, self.deadline)

    async def parsed(self, *sides: Mapping[str, FileInfo]) -> dict[str, Parsed]:
        """What the .proto files of all sides say, by digest. Each content is read and parsed once, and not kept."""
        unique = {info.digest: info for files in sides for path, info in files.items() if path.endswith(PROTO)}
        found: dict[str, Parsed] = {}
        for batch in in_parts((info, info.size) for info in unique.values()):
            contents = await self.contents(batch)
            parsed = await self.parts.runtime.call(parse_many, list(contents.values()), deadline=self.deadline)
            found |= zip(contents, parsed, strict=True)
        return found


def in_parts(files: Iterable[tuple[S, int]]) -> Iterator[list[S]]:
    """Files, given with their sizes, as many at a time as are read at once."""
    return batches(files, BATCH_FILES, BATCH_BYTES)
