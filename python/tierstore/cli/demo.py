"""`tierstore demo`: the main job on real input. Import, change, look up, and show what each tier does."""

from __future__ import annotations

import asyncio
import importlib.metadata
import importlib.util
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tierstore.cli.importing import Importer, ImportFile, scan
from tierstore.cli.views import show_imports
from tierstore.config import CacheConfig, Config
from tierstore.errors import NotFoundError
from tierstore.store import Store
from tierstore.store import open as open_store

if TYPE_CHECKING:
    from tierstore.cli.invocation import Invocation
    from tierstore.cli.output import Output

MEASURED_S = 1.0
CALLERS = 100
CHANGED = 25
DISTRIBUTIONS = ("googleapis-common-protos", "grpcio-tools")
JSON_SCHEMAS = ("check_jsonschema", "builtin_schemas", "vendor")


async def run_demo(invocation: Invocation, folder: Path | None) -> None:
    """The whole demo, in a fresh folder unless the command line names a store."""
    config = invocation.config() if invocation.names_a_store else Config(tempfile.mkdtemp(prefix="tierstore-demo-"))
    sources = scan(folder, tags=("demo",)) if folder else real_sources()
    started = time.perf_counter()
    async with open_store(config) as store:
        importer = Importer(store, invocation.out)
        await importer.run(sources)
        seconds = time.perf_counter() - started
        importer.show()
        invocation.out.say(f"{importer.bytes / seconds / 1e6:.1f} MB/s in {seconds:.1f} s")
        await _change(store, invocation.out, sources)
        await _look_up(store, invocation.out, sources)
        await _totals(store, invocation.out)
        await _rates(store, config, invocation.out, sources)
    _next_steps(config, invocation.out, sources)


def real_sources() -> list[ImportFile]:
    """Every .proto of two packages, and the real JSON Schemas that check-jsonschema carries."""
    found: dict[str, ImportFile] = {}
    for name in DISTRIBUTIONS:
        for file in importlib.metadata.files(name) or ():
            if file.suffix == ".proto":
                path = Path(str(file.locate()))
                subject = file.as_posix().removeprefix("grpc_tools/_proto/")
                found[subject] = ImportFile(path, subject, "protobuf", path.stat().st_size, ("proto", name))
    spec = importlib.util.find_spec(JSON_SCHEMAS[0])
    if spec is None or not spec.submodule_search_locations:
        raise NotFoundError(
            "the demo's input is missing: pip install googleapis-common-protos grpcio-tools check-jsonschema"
        )
    vendor = Path(spec.submodule_search_locations[0], *JSON_SCHEMAS[1:])
    schemas = scan(vendor, prefix="jsonschema/", tags=("json", "check-jsonschema"))
    return [*found.values(), *schemas]


async def _change(store: Store, out: Output, sources: Sequence[ImportFile]) -> None:
    """New versions, states, a soft delete and its return."""
    schemas = store.schemas
    protos = [source for source in sources if source.schema_type == "protobuf"][:CHANGED]
    for source in protos:
        content = source.path.read_bytes() + b"\n// Changed by the demo.\n"
        await schemas.register(source.subject, "1.1.0", content, schema_type="protobuf", tags=(*source.tags, "changed"))
    first = await schemas.get_version(protos[0].subject, "1.0.0")
    second = await schemas.get_version(protos[1].subject, "1.0.0")
    if first is not None and second is not None and first.state == "active":
        await schemas.set_state(first.id, "deprecated", reason="1.1.0 is there")
        await schemas.delete(second.id)
        await schemas.restore(second.id)
    out.say(f"changed: {len(protos)} new versions, 1 deprecated, 1 deleted and restored")


async def _look_up(store: Store, out: Output, sources: Sequence[ImportFile]) -> None:
    schemas = store.schemas
    protos = [source.subject for source in sources if source.schema_type == "protobuf"]
    subject = next((name for name in protos if name.endswith("annotations.proto")), protos[0])
    by_version = await schemas.get_version(protos[0], "1.0.0")
    latest = await schemas.get_latest(protos[0])
    text = await schemas.search("anotations", limit=5)
    tagged = await schemas.search(tags=("changed",), limit=100)
    rows = [
        {"look-up": f"version 1.0.0 of {protos[0]}", "answer": by_version.state if by_version else "-"},
        {"look-up": f"latest of {protos[0]}", "answer": latest.version if latest else "-"},
        {
            "look-up": "text “anotations” (with a typo)",
            "answer": ", ".join(hit.schema.subject for hit in text.items) or "-",
        },
        {"look-up": "tag “changed”", "answer": f"{len(tagged.items)} schemas"},
    ]
    out.table("lookups", rows, title="look-ups")
    if (schema := await schemas.get_latest(subject)) is not None:
        out.say(f"imports of {subject}:")
        show_imports(out, schema.content)


async def _totals(store: Store, out: Output) -> None:
    totals = await store.schemas.statistics()
    out.facts(
        "totals",
        {
            "subjects": totals.subjects,
            "schemas": totals.total_schemas,
            **{f"{name} schemas": count for name, count in sorted(totals.by_type.items())},
            "content bytes": totals.content_bytes,
            **{f"bytes in {tier}": size for tier, size in sorted(totals.bytes_by_placement.items())},
        },
        title="stored",
    )


async def _rates(store: Store, config: Config, out: Output, sources: Sequence[ImportFile]) -> None:
    """Reads a second, a tier at a time: L1 by one caller, the others by many callers on a store whose L1 holds nothing useful."""
    subjects = [source.subject for source in sources[:1000]]
    ids = [schema.id for schema in await store.schemas.get_latest_many(subjects) if schema is not None]
    await store.schemas.get_many(ids)
    rows = [{"tier": "L1", "callers": 1, "reads/s": await _rate(lambda: _sweep(store, ids[:100]), 100)}]
    cold = replace(config, cache=CacheConfig(max_entries=1, warm_on_start=False))
    tiers = {"L2": cold} if config.redis is not None else {}
    for tier, rest in (tiers | {"database": replace(cold, redis=None)}).items():
        async with open_store(rest) as other:
            rate = await _rate(partial(_together, other, ids), CALLERS)
        rows.append({"tier": tier, "callers": CALLERS, "reads/s": rate})
    out.table("rates", rows, title="reads a second")


async def _sweep(store: Store, ids: Sequence[str]) -> None:
    get = store.schemas.get
    for id in ids:
        await get(id)


async def _together(store: Store, ids: Sequence[str]) -> None:
    chosen = [ids[number % len(ids)] for number in range(CALLERS)]
    await asyncio.gather(*(store.schemas.get(id) for id in chosen))


async def _rate(work: Callable[[], Awaitable[Any]], reads: int) -> int:
    """Reads a second over MEASURED_S, after one round that does not count."""
    await work()
    rounds, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < MEASURED_S:
        await work()
        rounds += 1
    return round(rounds * reads / elapsed)


def _next_steps(config: Config, out: Output, sources: Sequence[ImportFile]) -> None:
    where = f"--path {config.path} " if config.path is not None else ""
    out.facts("next", {"store": str(config.path or "the configured servers")})
    program = "tierstore" if shutil.which("tierstore") else sys.argv[0]
    out.say("Next steps:")
    for command in ("search http", f"show {sources[0].subject}", "stats", "health", "load-test --duration 5s"):
        out.say(f"  {program} {where}{command}")
