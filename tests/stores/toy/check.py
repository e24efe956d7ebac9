"""Run over the copy with the planted store: `python -m tests.stores.toy.check CONFIG`. Prints a line for each thing that held."""

from __future__ import annotations

import asyncio
import inspect
import sys

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import tierstore
from tierstore import Config
from tierstore.errors import ValidationError
from tierstore.store import parts_of
from tierstore.telemetry import OpenTelemetry


async def asynchronous(config: Config) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    async with tierstore.open(config, telemetry=OpenTelemetry(tracer_provider=provider)) as store:
        made = await store.notes.put("a", "first")
        assert await store.notes.get("a") == made
        assert {"tierstore.notes.put", "tierstore.notes.get"} <= {span.name for span in exporter.get_finished_spans()}
        print("spans")
        async with store.transaction() as tx:
            await tx.notes.put("a", "second")
            await tx.schemas.register("beside", "1.0.0", b"{}")
            assert (await tx.notes.get("a")).text == "second"
            assert (await store.notes.get("a", read="latest")).text == "first"
        assert (await store.notes.get("a")).text == "second"
        print("one transaction with the other stores, invalidated at its commit")
        health, statistics = await store.health(), await store.statistics()
        assert "notes: this store is a toy" in health.warnings
        assert statistics.notes == statistics.stores["notes"] == {"notes": 1}
        print("health and statistics")
        with pytest.raises(ValidationError) as raised:
            await store.notes.put("", "x")
        assert (raised.value.store, raised.value.operation, raised.value.place) == ("notes", "put", "id")
        print("errors by name")


async def reopened(config: Config) -> None:
    """What was counted before the close was flushed by it, and is warmed now."""
    async with tierstore.open(config) as store:
        reads = parts_of(store).engine.statistics("notes")
        assert reads["loads"] + reads["l2_hits"] >= 1, reads
        assert await store.warm(limit=5) >= 1
        for _ in range(200):
            if (note := await store.notes.get("a")).meta.tier == "l1":
                break
            await asyncio.sleep(0.05)
        assert note.meta.tier == "l1"
    print("flushed at close, warmed at open")


def blocking(config: Config) -> None:
    with tierstore.blocking.open(config) as store:
        assert store.notes.put("b", "text").text == "text"
        assert store.notes.get("b").text == "text"
        assert type(store.notes).__name__ == "NoteStore"
        assert type(store.notes).__module__ == "tierstore.blocking"
        assert inspect.getdoc(type(store.notes).get)
        with store.transaction() as tx:
            tx.notes.put("c", "text")
            tx.rollback()
        assert [note.id for note in store.notes.list().items] == ["a", "b"]
    print("the blocking face")


def stub() -> None:
    from tests.house.blocking_stub import generate

    text = generate()
    assert "class NoteStore:" in text
    assert "    notes: NoteStore" in text
    assert "def put(" in text.split("class NoteStore")[1]
    print("the stub of the blocking face")


def main() -> None:
    config = Config.from_toml(sys.argv[1])
    assert "notes" in tierstore.stores.roster(), tierstore.__file__
    asyncio.run(asynchronous(config))
    asyncio.run(reopened(config))
    blocking(config)
    stub()


if __name__ == "__main__":
    import tierstore.stores

    main()
