"""All schemas as one file of JSON lines, and back. The first line is a header; each other line is one schema with its digest and size.

The file is written beside its place and renamed, so that no half export is ever found there. An import checks each line against its
declared size and digest before it decodes or stores anything of it, and registers in batches: what was imported before an error stays,
and the same file may be imported again.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from typing import IO, Any

import orjson

from tierstore._native import digest as digest_of
from tierstore._native import uuid7
from tierstore.errors import CorruptError, NotFoundError, ValidationError
from tierstore.plan.arguments import check_path
from tierstore.stores.schemas.model import Schema
from tierstore.stores.schemas.validation import MAX_CONTENT_BYTES

HEADER = {"tierstore": "schemas", "format": 1}
BATCH_ITEMS = 100
BATCH_BYTES = 8 * 1024 * 1024
LINE_OVERHEAD_BYTES = 256 * 1024
"""Room in a line for everything but the content."""
MAX_LINE_BYTES = MAX_CONTENT_BYTES * 4 // 3 + LINE_OVERHEAD_BYTES
Item = dict[str, Any]


class Exporting:
    """A file under way: `write` batches, then `finish`; `abandon` leaves nothing."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = check_path(path)
        self._beside = self._path.with_name(f".{self._path.name}.{uuid7()}")
        self._file: IO[bytes] | None = None

    def write(self, schemas: list[Schema]) -> None:
        """Append a line for each; the first call makes the file."""
        if self._file is None:
            self._file = self._beside.open("xb")
            self._file.write(orjson.dumps(HEADER) + b"\n")
        self._file.writelines(map(_line, schemas))

    def finish(self) -> None:
        """Make it durable, and visible under its name."""
        self.write([])
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        self._beside.replace(self._path)

    def abandon(self) -> None:
        """Remove what was written."""
        if self._file is not None:
            self._file.close()
            self._beside.unlink(missing_ok=True)


def _line(schema: Schema) -> bytes:
    content = base64.b64encode(schema.content).decode()
    fields = {
        "id": schema.id,
        "subject": schema.subject,
        "version": schema.version,
        "schema_type": schema.schema_type,
        "state": schema.state,
        "metadata": schema.metadata,
        "digest": schema.content_digest,
        "size": schema.content_size,
        "content": content,
    }
    return orjson.dumps(fields) + b"\n"


def read_batches(path: str | os.PathLike[str]) -> Iterator[list[Item]]:
    """The items of a file, BATCH_ITEMS or BATCH_BYTES at a time. ValidationError or CorruptError names the line."""
    try:
        file = check_path(path).open("rb")
    except OSError as error:
        raise NotFoundError(f"{path} cannot be read: {error.strerror}", key=str(path)) from error
    with file:
        _check_header(file.readline(LINE_OVERHEAD_BYTES))
        batch: list[Item] = []
        size = 0
        for number, line in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES + 1), b""), start=2):
            item = _item(line, number)
            if batch and (len(batch) == BATCH_ITEMS or size + len(item["content"]) > BATCH_BYTES):
                yield batch
                batch, size = [], 0
            batch.append(item)
            size += len(item["content"])
        if batch:
            yield batch


def _check_header(line: bytes) -> None:
    try:
        header = orjson.loads(line)
    except orjson.JSONDecodeError:
        header = None
    if header != HEADER:
        raise ValidationError(f"this is no export of schemas: its first line is not {HEADER}", place="line 1")


def _item(line: bytes, number: int) -> Item:
    place = f"line {number}"
    try:
        fields = orjson.loads(line)
        size, digest = fields.pop("size"), fields.pop("digest")
        encoded = fields["content"]
        _check_declared(size, encoded, place)
        fields["content"] = base64.b64decode(encoded, validate=True)
    except (ValueError, KeyError, TypeError, AttributeError) as error:  # bad JSON and bad base64 are ValueErrors
        raise ValidationError(f"the line is no exported schema: {error}", place=place) from error
    if digest_of(fields["content"]) != digest:
        raise CorruptError(f"the content of line {number} does not match its digest: the file was damaged")
    item: Item = fields
    return item


def _check_declared(size: Any, encoded: Any, place: str) -> None:
    """Before anything is decoded: a declared size is a claim."""
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= MAX_CONTENT_BYTES:
        raise ValidationError(f"the line declares {size!r} bytes; at most {MAX_CONTENT_BYTES:,} are taken", place=place)
    if not isinstance(encoded, str) or len(encoded) != (size + 2) // 3 * 4:
        raise ValidationError(f"the line declares {size} bytes and holds another number", place=place)
