"""What a store holds as one file of JSON lines, and back.

The first line is a header that names the store; each other line is one record with its content in base64, its digest and its size. The
file is written beside its place and renamed, so that no half export is ever found there. A line is checked against its declared size and
digest before anything of it is decoded or stored.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, Any

import orjson

from tierstore._native import digest as digest_of
from tierstore.calls.aside import Aside
from tierstore.errors import CorruptError, NotFoundError, StorageError, ValidationError, raise_alone
from tierstore.plan.arguments import check_path
from tierstore.plan.batches import batches
from tierstore.runtime.file_locks import try_lock

FORMAT = 1
BATCH_BYTES = 8 * 1024 * 1024
LINE_OVERHEAD_BYTES = 256 * 1024
"""Room in a line for everything but the content."""
Item = dict[str, Any]
CUT_OUT = "?"
"""Stands for a content while its line is parsed; no base64 has it."""
_LONG_CONTENT = re.compile(rb'"content"\s*:\s*"([A-Za-z0-9+/=\\]{65536,})"')


def header(store: str) -> bytes:
    """The first line of an export."""
    return orjson.dumps({"tierstore": store, "format": FORMAT}) + b"\n"


def to_line(fields: Mapping[str, Any], content: bytes, digest: str) -> bytes:
    """One record; `fields` are what it has beside its content."""
    encoded = base64.b64encode(content).decode()
    return orjson.dumps({**fields, "digest": digest, "size": len(content), "content": encoded}) + b"\n"


def from_line(line: bytes, number: int, most: int) -> Item:
    """The fields of a line, its content as bytes of at most `most`. ValidationError and CorruptError name the line."""
    place = f"line {number}"
    try:
        rest, encoded = _apart(line, place)
        fields = orjson.loads(rest)
        size, digest = fields.pop("size"), fields.pop("digest")
        if encoded is None or fields["content"] != CUT_OUT:
            encoded = fields["content"]
        _check_declared(size, encoded, place, most)
        fields["content"] = base64.b64decode(encoded, validate=True)
    except (ValueError, KeyError, TypeError, AttributeError) as error:  # bad JSON and bad base64 are ValueErrors
        raise_alone(ValidationError(f"{place} is not an exported record ({_wrong(error)})", place=place))
    if digest_of(fields["content"]) != digest:
        raise CorruptError(f"the content of {place} does not match its digest; the file is damaged")
    item: Item = fields
    return item


def _wrong(error: Exception) -> str:
    """What is wrong with a line, without what it holds."""
    if isinstance(error, orjson.JSONDecodeError):
        return f"not JSON at byte {error.pos + 1}"
    if isinstance(error, KeyError):
        return f"no field {error}"
    return "its content is not base64" if isinstance(error, ValueError) else "not an object with the fields of a record"


def _apart(line: bytes, place: str) -> tuple[bytes, str | None]:
    """The line without a long content, and that content: what is parsed becomes objects that take many times its bytes."""
    if len(line) <= LINE_OVERHEAD_BYTES:
        return line, None
    found = _LONG_CONTENT.search(line)
    rest = line if found is None else b"".join((line[: found.start(1)], CUT_OUT.encode(), line[found.end(1) :]))
    if len(rest) > LINE_OVERHEAD_BYTES:
        text = f"{place} has {len(rest):,} bytes beside its content; expected at most {LINE_OVERHEAD_BYTES:,}"
        raise ValidationError(text, place=place)
    return rest, None if found is None else found[1].replace(b"\\/", b"/").decode()


def _check_declared(size: Any, encoded: Any, place: str, most: int) -> None:
    """Before anything is decoded: a declared size is a claim."""
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= most:
        raise ValidationError(f"{place} must declare a size in bytes of at most {most:,}", place=place)
    if not isinstance(encoded, str) or len(encoded) != (size + 2) // 3 * 4:
        raise ValidationError(f"{place} declares {size} bytes of content, but holds a different number", place=place)


class LinesFile(Aside):
    """An export under way: `open`, `write` batches, then `finish`. `abandon` leaves nothing, or with `resume` what is written.

    `each`: told every line that a resumed export has already. `count`: the records that the file holds.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        store: str,
        *,
        resume: bool,
        each: Callable[[bytes], object] | None = None,
    ) -> None:
        super().__init__(path, resumable=resume)
        self._each = each
        self._header = header(store)
        self.count = 0

    def open(self) -> Item | None:
        """Make the file beside its place, or go on with the one that is there: then the last record in it."""
        with self._step() as goes_on:
            if not goes_on:
                return None
            file = self._open()
            self._check_alone(file)
            return self._last_line(file)

    def _check_alone(self, file: IO[bytes]) -> None:
        """Two that write to one file would mix their lines."""
        alone = try_lock(file.fileno())
        if not alone or not self._beside.exists() or not os.path.samestat(os.fstat(file.fileno()), self._beside.stat()):
            file.close()
            text = f"another export to {self._path} is running, or has just ended; wait for it, or choose another path"
            raise ValidationError(text, place="path")

    def _last_line(self, file: IO[bytes]) -> Item | None:
        """Cut off what a crash left of a line; begin anew where there is no whole one."""
        head = file.readline(LINE_OVERHEAD_BYTES)
        if head != self._header:
            if not self._header.startswith(head):
                raise self._not_ours("its first line is not the header of an export of this store")
            file.seek(0)
            file.truncate()
            file.write(self._header)
            return None
        last, end = b"", file.tell()
        for line in file:
            if not line.endswith(b"\n"):
                break
            last, end, self.count = line, end + len(line), self.count + 1
            if self._each is not None:
                self._each(line)
        file.seek(end)
        file.truncate()
        try:
            return from_line(last, self.count + 1, len(last)) if last else None
        except StorageError as error:
            raise_alone(self._not_ours(error.message))

    def _not_ours(self, why: str) -> ValidationError:
        text = f"the export in {self._beside} cannot be resumed: {why}; remove that file, or export without resume"
        return ValidationError(text, place="path")

    def write(self, lines: Sequence[bytes]) -> None:
        """Append the lines of a batch."""
        with self._step() as goes_on:
            if goes_on and self._file is not None:
                self._file.writelines(lines)
                self.count += len(lines)


def read_batches(path: str | os.PathLike[str], store: str, most: int, batch_items: int) -> Iterator[list[Item]]:
    """The items of a file, `batch_items` or BATCH_BYTES at a time. `most`: the bytes that one content may have."""
    longest = most * 4 // 3 + LINE_OVERHEAD_BYTES
    try:
        with check_path(path).open("rb") as file:
            _check_header(file.readline(LINE_OVERHEAD_BYTES), store)
            lines = enumerate(iter(lambda: file.readline(longest + 1), b""), start=2)
            items = (from_line(line, number, most) for number, line in lines)
            yield from batches(((item, len(item["content"])) for item in items), batch_items, BATCH_BYTES)
    except OSError as error:
        raise_alone(NotFoundError(f"{path} cannot be read: {error.strerror}", key=str(path)))


def _check_header(line: bytes, store: str) -> None:
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError:
        found = None
    if found != orjson.loads(header(store)):
        text = f"the file is not an export of {store}: expected the first line {header(store).decode().strip()}"
        raise ValidationError(text, place="line 1")


def count_lines(path: str | os.PathLike[str]) -> int:
    """How many records a file seems to hold. 0 for one that cannot be read: reading its lines says why."""
    try:
        with check_path(path).open("rb") as file:
            return max(0, sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(BATCH_BYTES), b"")) - 1)
    except OSError:
        return 0
