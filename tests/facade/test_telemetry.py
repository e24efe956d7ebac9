"""Telemetry: the document's names in Prometheus and OpenTelemetry form, a span an operation, nothing when off."""

import asyncio
from dataclasses import replace

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry, generate_latest

import tierstore
from tierstore.telemetry import OFF, OpenTelemetry, Prometheus

LARGE = b'"' + b"x" * 1_100_000 + b'"'


async def exercise(config, telemetry, collect=lambda: None):
    """Three registered (one large), read through every tier, one deleted; then what `collect` sees while the stores are open.

    The second store shares L2 and keeps one entry in L1: its reads are what L2 and the object store answer.
    """
    cold = replace(config, cache=tierstore.CacheConfig(max_entries=1, warm_on_start=False))
    async with (
        tierstore.open(config, telemetry=telemetry) as store,
        tierstore.open(cold, telemetry=telemetry) as other,
    ):
        small = await store.schemas.register("small", "1.0.0", b"{}")
        large = await store.schemas.register("large", "1.0.0", LARGE)
        for _ in range(3):
            assert await store.schemas.get(small.id) is not None
        assert (await store.schemas.get(large.id)).content == LARGE
        second = await store.schemas.register("second", "1.0.0", b"{}")
        await until_l2(other, small.id, second.id)
        assert (await other.schemas.get(large.id)).content == LARGE
        await store.schemas.delete(small.id)
        return collect()


async def until_l2(store, *ids):
    """L2 is believed once a carrier is heard, which a busy machine may delay."""
    for _ in range(200):
        if "l2" in [(await store.schemas.get(id)).meta.tier for id in ids]:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("L2 never answered")


@pytest.fixture
def config(database, redis_server, s3_server, bucket):
    redis_server.flush()
    return tierstore.Config(
        postgres=tierstore.PostgresConfig(database, min_connections=0),
        redis=tierstore.RedisConfig(redis_server.url),
        objects=s3_server.config(bucket),
    )


@pytest.mark.requirement("S1-63", "S1-64", "S1-65", "S1-66")
def test_prometheus(config):
    registry = CollectorRegistry()
    telemetry = Prometheus(registry)
    text = asyncio.run(exercise(config, telemetry, lambda: generate_latest(registry).decode()))
    samples = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(samples["schema_registry_schemas_registered_total"]) == 3
    assert float(samples["schema_registry_schemas_fetched_total"]) >= 7
    assert float(samples["schema_registry_schemas_deleted_total"]) == 1
    assert float(samples["schema_registry_cache_l1_hits_total"]) >= 2
    assert float(samples["schema_registry_cache_l2_hits_total"]) >= 1
    assert float(samples["schema_registry_cache_misses_total"]) >= 2
    assert float(samples["schema_registry_s3_uploads_total"]) == 1
    downloads = float(samples["schema_registry_s3_downloads_total"])
    assert downloads >= 1
    assert float(samples["schema_registry_s3_download_size_bytes_sum"]) == downloads * len(LARGE)
    assert float(samples["schema_registry_query_duration_seconds_count"]) >= 3
    assert float(samples["schema_registry_s3_upload_size_bytes_sum"]) == len(LARGE)
    telemetry.close()
    assert b"schemas_registered" not in generate_latest(registry)


@pytest.mark.requirement("S1-63", "S1-64", "S1-65", "S1-66")
def test_opentelemetry(config):
    reader, spans = InMemoryMetricReader(), InMemorySpanExporter()
    tracing = TracerProvider()
    tracing.add_span_processor(SimpleSpanProcessor(spans))
    telemetry = OpenTelemetry(MeterProvider([reader]), tracing)
    data = asyncio.run(exercise(config, telemetry, reader.get_metrics_data))
    found = {metric.name: metric.data.data_points for metric in data.resource_metrics[0].scope_metrics[0].metrics}
    assert found["schema_registry.schemas.registered"][0].value == 3
    assert found["schema_registry.schemas.fetched"][0].value >= 7
    assert found["schema_registry.cache.l1.hits"][0].value >= 1
    assert found["schema_registry.cache.l2.hits"][0].value >= 1
    assert found["schema_registry.cache.misses"][0].value >= 1
    assert found["schema_registry.schemas.deleted"][0].value == 1
    assert found["schema_registry.s3.uploads"][0].value == 1
    assert found["schema_registry.query.duration_seconds"][0].count >= 3
    assert found["schema_registry.s3.upload_size_bytes"][0].sum == len(LARGE)
    downloads = found["schema_registry.s3.downloads"][0].value
    assert downloads >= 1
    assert found["schema_registry.s3.download_size_bytes"][0].sum == downloads * len(LARGE)
    names = [span.name for span in spans.get_finished_spans()]
    assert names.count("tierstore.schemas.register") == 3
    assert names.count("tierstore.schemas.delete") == 1


def test_a_failed_operation_is_recorded_in_its_span(tmp_path):
    spans = InMemorySpanExporter()
    tracing = TracerProvider()
    tracing.add_span_processor(SimpleSpanProcessor(spans))

    async def fail():
        async with tierstore.open(tmp_path, telemetry=OpenTelemetry(MeterProvider(), tracing)) as store:
            with pytest.raises(tierstore.ValidationError):
                await store.schemas.register("bad", "1.0.0", b"{")

    asyncio.run(fail())
    (span,) = [span for span in spans.get_finished_spans() if span.name == "tierstore.schemas.register"]
    assert not span.status.is_ok
    assert span.events[0].name == "exception"


def test_off_shares_one_span():
    assert OFF.span("schemas.get") is OFF.span("schemas.delete")
    assert not OFF.on
