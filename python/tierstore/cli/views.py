"""The commands that look: show, search, warm, health, stats."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from typing import Any

from tierstore.cli.output import Output, printable
from tierstore.errors import NotFoundError
from tierstore.store import Statistics, Store
from tierstore.stores.schemas.validation import check_type

LINES_SHOWN = 40


async def show_schema(store: Store, out: Output, subject: str, version: str | None, *, content: bool) -> None:
    schemas = store.schemas
    schema = await (schemas.get_version(subject, version) if version else schemas.get_latest(subject))
    if schema is None:
        wanted = f"{subject} {version}" if version else subject
        raise NotFoundError(f"no schema {wanted}; find one with `tierstore search`")
    if content:
        out.raw(schema.content)
        return
    versions = await schemas.list(subject)
    out.facts(
        "schema",
        {
            "subject": schema.subject,
            "version": schema.version,
            "id": schema.id,
            "type": schema.schema_type,
            "state": schema.state,
            "tags": ", ".join(schema.tags),
            "description": schema.description,
            "digest": schema.content_digest,
            "bytes": len(schema.content),
            "created": schema.created_at.isoformat(),
            "versions": ", ".join(item.version for item in versions.items),
        },
    )
    if schema.schema_type == "protobuf":
        show_imports(out, schema.content)
    if not out.as_json:
        lines = schema.content.decode(errors="replace").splitlines()
        print("\n".join(printable(line.expandtabs()) for line in lines[:LINES_SHOWN]))
        if len(lines) > LINES_SHOWN:
            out.say(f"… {len(lines) - LINES_SHOWN} more lines; --content prints all of them")


def show_imports(out: Output, source: bytes) -> None:
    from tierstore.proto import parse_imports

    rows = [{"import": item.path, "kind": item.kind, "line": item.line} for item in parse_imports(source).imports]
    out.table("imports", rows, title="imports")


async def search_schemas(
    store: Store, out: Output, text: str | None, *, tags: tuple[str, ...], schema_type: str | None, limit: int
) -> None:
    wanted = None if schema_type is None else check_type(schema_type)
    page = await store.schemas.search(text, tags=tags, schema_type=wanted, limit=limit)
    rows = [
        {
            "subject": hit.schema.subject,
            "version": hit.schema.version,
            "type": hit.schema.schema_type,
            "state": hit.schema.state,
            "score": round(hit.score, 3),
        }
        for hit in page.items
    ]
    out.table("hits", rows, title=f"{len(rows)} hits" + (" or more; raise --limit" if page.next else ""))
    if not rows:
        out.say("nothing found")


async def warm_caches(store: Store, out: Output, limit: int) -> None:
    out.facts("warm", {"loaded": await store.warm(limit=limit)})


async def show_health(store: Store, out: Output) -> None:
    health = await store.health()
    rows = [
        {"tier": name, "ok": tier.ok, "latency ms": round(tier.latency * 1e3, 2), "detail": tier.detail}
        for name, tier in health.tiers.items()
    ]
    out.table("tiers", rows)
    out.table("warnings", [{"warning": text} for text in health.warnings])
    if not health.ok:
        out.finish()
        sys.exit(1)


async def show_statistics(store: Store, out: Output) -> None:
    statistics = await store.statistics()
    for name, section in _sections(statistics).items():
        out.facts(name, section, title=name)


def _sections(statistics: Statistics) -> dict[str, Mapping[str, Any]]:
    """Each store's counts under its name, then the tiers and the pool."""
    stores = {name: dataclasses.asdict(counts) for name, counts in statistics.stores.items() if counts is not None}
    return {**stores, "tiers": statistics.tiers, "pool": statistics.pool}
