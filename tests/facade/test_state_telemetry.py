"""What state tells of itself: spans, log lines, errors and metrics with the pattern of a key, and nowhere a key or a value."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from prometheus_client import CollectorRegistry

import tierstore
from tierstore import Config, ConflictError, StateConfig, StorageError, ValidationError
from tierstore.telemetry import OpenTelemetry, Prometheus

SECRET, VALUE = "c0ffee5ec4e7", "classified"
KEY, PATTERN = f"polly:pr_number:{SECRET}", "polly:pr_number:*"
PLACES = ("memory", "sql")


def config(place: str, folder: Path) -> Config:
    return Config(folder, state=StateConfig(place))


async def every_kind(store: tierstore.Store) -> list[StorageError]:
    """Calls that succeed, and some that fail."""
    state = store.state
    errors: list[StorageError] = []
    await state.set(KEY, VALUE)
    assert await state.get(KEY) == VALUE
    await state.get_many([KEY])
    await state.keys(KEY[:-2])
    assert [key async for key in state.scan(f"polly:pr_number:{SECRET}")] == [KEY]
    await state.delete_prefix(f"polly:x:{SECRET}")
    for call in (
        state.increment(KEY),
        state.get(KEY, type=int),
        state.set(KEY, 1, if_absent=True),
        state.delete(KEY, expected_etag="x"),
        state.set(f"{KEY}\n", VALUE),
        state.set(KEY, object()),
    ):
        with pytest.raises((ConflictError, ValidationError)) as raised:
            await call
        errors.append(raised.value)
    return errors


@pytest.mark.requirement("S3-26")
@pytest.mark.parametrize("place", PLACES)
def test_each_call_has_a_span_with_its_place_and_the_pattern_of_its_key(place: str, tmp_path: Path):
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))

    async def scenario() -> None:
        async with tierstore.open(config(place, tmp_path), telemetry=OpenTelemetry(tracer_provider=provider)) as store:
            await every_kind(store)

    asyncio.run(scenario())
    spans = [span for span in exporter.get_finished_spans() if span.name.startswith("tierstore.state.")]
    assert {"tierstore.state.set", "tierstore.state.get", "tierstore.state.get_many", "tierstore.state.scan"} <= {
        span.name for span in spans
    }
    for span in spans:
        assert span.attributes["tierstore.backend"] == place
        assert span.attributes.get("tierstore.key_pattern", PATTERN) in (PATTERN, "polly:x:*")
        shown = f"{span.to_json()}"
        assert SECRET not in shown
        assert VALUE not in shown
    failed = [span for span in spans if span.name == "tierstore.state.increment"]
    assert [span.status.status_code for span in failed] == [StatusCode.ERROR]
    assert [event.name for event in failed[0].events] == ["exception"]
    assert failed[0].attributes["tierstore.key_pattern"] == PATTERN


@pytest.mark.requirement("S3-25", "S3-22")
@pytest.mark.parametrize("place", PLACES)
def test_each_call_is_a_line_of_the_log_at_debug(place: str, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG, logger="tierstore")

    async def scenario() -> None:
        async with tierstore.open(config(place, tmp_path)) as store:
            for error in await every_kind(store):
                assert SECRET in error.key
                assert SECRET not in f"{error} {error!r}"
                assert VALUE not in f"{error} {error!r}"

    asyncio.run(scenario())
    lines = [record for record in caplog.records if record.name == "tierstore.calls"]
    told = [record.tierstore for record in lines]  # type: ignore[attr-defined]
    assert {"set", "get", "increment", "keys"} <= {each["operation"] for each in told}
    for each in told:
        assert (each["store"], each["tierstore.backend"]) == ("state", place)
        assert each["seconds"] > 0
    (failed,) = [record for record in lines if record.tierstore["operation"] == "increment"]  # type: ignore[attr-defined]
    assert "ConflictError" in failed.getMessage()
    assert PATTERN in failed.getMessage()
    assert SECRET not in caplog.text
    assert VALUE not in caplog.text


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("polly:pr_number:abc", "polly:pr_number:*"),
        ("abc", "*"),
        ("a:b:c:d", "a:b:*"),
        ("user:42:cart", "user:*"),
        ("user:a@b.c:cart", "user:*"),
        ("42:a", "*"),
        ("a:", "a:*"),
        (":a", "*"),
    ],
)
def test_the_pattern_of_a_key_shows_names_only(key: str, shown: str):
    from tierstore.plan.state import pattern

    assert pattern(key) == shown


@pytest.mark.requirement("S3-24", "S3-32")
@pytest.mark.parametrize("place", PLACES)
def test_metrics_in_the_form_of_prometheus(place: str, tmp_path: Path):
    registry = CollectorRegistry()

    async def scenario() -> None:
        telemetry = Prometheus(registry)
        async with tierstore.open(config(place, tmp_path), telemetry=telemetry) as store:
            await store.state.set("a", [1])
            await store.state.set("b", 1)
            for key in ("a", "b", "absent"):
                await store.state.get(key)
            await store.state.get_many(["a", "absent"])
            values = {
                (one.name, *one.labels.values()): one.value for family in registry.collect() for one in family.samples
            }
        assert values["tierstore_state_hits_total", "state"] == 3
        assert values["tierstore_state_misses_total", "state"] == 2
        assert values["tierstore_state_expired_total", "state"] == 0
        assert values["tierstore_calls_total", "state", "get"] == 3
        assert values["tierstore_call_duration_seconds_count", "state", "set"] == 2
        assert values["tierstore_up", "database"] == 1
        if place == "memory":
            assert values["tierstore_state_keys", "state"] == 2
            assert values["tierstore_state_bytes", "state"] > 100
            assert values["tierstore_up", "state"] == 1

    asyncio.run(scenario())


@pytest.mark.requirement("S3-24")
def test_metrics_in_the_form_of_opentelemetry(tmp_path: Path):
    reader = InMemoryMetricReader()

    async def scenario() -> None:
        telemetry = OpenTelemetry(MeterProvider([reader]))
        async with tierstore.open(config("memory", tmp_path), telemetry=telemetry) as store:
            await store.state.set("a", 1)
            await store.state.get("a")
            data = reader.get_metrics_data()
            metrics = {
                metric.name: list(metric.data.data_points)
                for resource in data.resource_metrics
                for scope in resource.scope_metrics
                for metric in scope.metrics
            }
            (hits,) = metrics["tierstore.state.hits"]
            assert (hits.value, dict(hits.attributes)) == (1, {"store": "state"})
            (keys,) = metrics["tierstore.state.keys"]
            assert (keys.value, dict(keys.attributes)) == (1, {"tier": "state"})
            assert {point.attributes["tier"]: point.value for point in metrics["tierstore.up"]} == {
                "database": 1,
                "state": 1,
                "objects": 1,
            }

    asyncio.run(scenario())
