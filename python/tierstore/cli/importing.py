"""Import files as schemas: several batches at once, unchanged files skipped, refused ones listed with the reason."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tierstore._native import Version, digest
from tierstore.cli.output import Output, printable
from tierstore.errors import ConflictError, ValidationError, raise_alone
from tierstore.plan.values import check_name
from tierstore.store import Store
from tierstore.stores.schemas import SchemaItem, SchemaType
from tierstore.stores.schemas.validation import MAX_CONTENT_BYTES

BATCH = 100
BATCH_BYTES = 8 * 1024 * 1024
BATCHES_AT_ONCE = 4
FIRST_VERSION = "1.0.0"
TYPE_BY_SUFFIX: dict[str, SchemaType] = {".proto": "protobuf", ".avsc": "avro", ".json": "json"}
REFUSED_SHOWN = 20


@dataclass(frozen=True, slots=True)
class ImportFile:
    """A file to import, and the subject it becomes."""

    path: Path
    subject: str
    schema_type: SchemaType
    size: int
    tags: tuple[str, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)


def scan(folder: Path, *, prefix: str = "", tags: Sequence[str] = ()) -> list[ImportFile]:
    """The .proto, .avsc and .json files below `folder`, in the order of their paths; a subject is the path with forward slashes."""
    found = []
    for path in sorted(folder.rglob("*")):
        if (schema_type := TYPE_BY_SUFFIX.get(path.suffix)) is None or not path.is_file():
            continue
        subject = prefix + path.relative_to(folder).as_posix()
        found.append(ImportFile(path, subject, schema_type, path.stat().st_size, tuple(tags)))
    return found


def _batches(sources: Iterable[ImportFile]) -> Iterator[list[ImportFile]]:
    batch: list[ImportFile] = []
    size = 0
    for source in sources:
        if batch and (len(batch) == BATCH or size + source.size > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(source)
        size += source.size
    if batch:
        yield batch


class Importer:
    """Registers sources and keeps count: `counts` by outcome, `refused` with the reason."""

    def __init__(self, store: Store, out: Output) -> None:
        self._schemas = store.schemas
        self._out = out
        self.counts: Counter[str] = Counter()
        self.bytes = 0
        self.refused: list[tuple[str, str]] = []

    async def run(self, sources: Sequence[ImportFile]) -> None:
        """Import all. Each batch is one commit, so that an interrupted import keeps what was finished."""
        with self._out.progress("importing", len(sources)) as advance:
            slots = asyncio.Semaphore(BATCHES_AT_ONCE)

            async def one(batch: list[ImportFile]) -> None:
                async with slots:
                    await self._import(batch)
                    advance(len(batch))

            try:
                async with asyncio.TaskGroup() as group:
                    for batch in _batches(sources):
                        group.create_task(one(batch))
            except ExceptionGroup as failed:
                raise_alone(failed.exceptions[0])

    async def _import(self, batch: list[ImportFile]) -> None:
        contents = await asyncio.to_thread(lambda: [_read(source) for source in batch])
        read: list[tuple[ImportFile, bytes]] = []
        for source, content in zip(batch, contents, strict=True):
            if isinstance(content, str):
                self._refuse(source.subject, content)
            else:
                read.append((source, content))
        known = await self._schemas.get_latest_many([source.subject for source, _ in read])
        items = []
        for (source, content), latest in zip(read, known, strict=True):
            if latest is not None and latest.content_digest == digest(content):
                self.counts["unchanged"] += 1
                continue
            items.append(_item(source, content, latest.version if latest else None))
        if items:
            await self._register(items)

    async def _register(self, items: list[SchemaItem]) -> None:
        try:
            await self._schemas.register_many(items)
        except (ValidationError, ConflictError):
            await self._register_singly(items)
        else:
            self._count(items)

    async def _register_singly(self, items: list[SchemaItem]) -> None:
        """A batch is all or nothing: find the ones that are refused and keep the others."""
        for item in items:
            try:
                try:
                    await self._schemas.register(**item)
                except ConflictError:
                    item["version"] = await self._free_version(item["subject"])
                    await self._schemas.register(**item)
            except (ValidationError, ConflictError) as error:
                self._refuse(item["subject"], str(error))
            else:
                self._count([item])

    async def _free_version(self, subject: str) -> str:
        """Behind the highest there is: it may be deleted or disabled, and so was no latest."""
        page = await self._schemas.list(subject, deleted=True, limit=1)
        return _next_minor(page.items[0].version) if page.items else FIRST_VERSION

    def _refuse(self, subject: str, why: str) -> None:
        self.refused.append((printable(subject), why))

    def _count(self, items: list[SchemaItem]) -> None:
        for item in items:
            self.counts["new" if item["version"] == FIRST_VERSION else "changed"] += 1
            self.bytes += len(item["content"])

    def show(self) -> None:
        """Print the counts and the first of the refused."""
        facts = {name: self.counts[name] for name in ("new", "changed", "unchanged")}
        self._out.facts("import", facts | {"refused": len(self.refused), "bytes": self.bytes}, title="import")
        rows = [{"refused": subject, "why": why} for subject, why in self.refused]
        self._out.table("refused", rows if self._out.as_json else rows[:REFUSED_SHOWN])


def _read(source: ImportFile) -> bytes | str:
    """The content, or why there is none."""
    try:
        check_name(source.subject, "subject")
    except ValidationError as error:
        return str(error)
    if source.size > MAX_CONTENT_BYTES:
        return f"the file has {source.size:,} bytes, expected at most {MAX_CONTENT_BYTES:,}"
    try:
        return source.path.read_bytes()
    except OSError as error:
        return f"the file cannot be read: {error.strerror}"


def _item(source: ImportFile, content: bytes, latest: str | None) -> SchemaItem:
    return {
        "subject": source.subject,
        "version": FIRST_VERSION if latest is None else _next_minor(latest),
        "content": content,
        "schema_type": _refine(source.schema_type, content),
        "tags": source.tags,
        "metadata": source.metadata or None,
    }


def _next_minor(version: str) -> str:
    known = Version(version)
    return f"{known.major}.{known.minor + 1}.0"


def _refine(schema_type: SchemaType, content: bytes) -> SchemaType:
    """A JSON document that names its `$schema` dialect is a JSON Schema."""
    if schema_type != "json" or b'"$schema"' not in content:
        return schema_type
    try:
        document = json.loads(content)
    except ValueError:
        return schema_type
    dialect = document.get("$schema") if isinstance(document, dict) else None
    return "jsonschema" if isinstance(dialect, str) and "json-schema.org" in dialect else schema_type
