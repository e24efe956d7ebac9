"""Telemetry: the document's names in Prometheus and OpenTelemetry form, a span an operation, nothing when off."""

import asyncio
from dataclasses import replace
from uuid import UUID

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, TraceIdRatioBased
from opentelemetry.trace import NoOpTracerProvider
from prometheus_client import CollectorRegistry, generate_latest

import tierstore
import tierstore.blocking
from tierstore.calls.operation import Operations
from tierstore.telemetry import OFF, OpenTelemetry, Prometheus, Series, error_label

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
    assert generate_latest(registry) == b""


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


CALLS = {"get": 7, "get_version": 4, "get_latest": 3, "get_many": 1, "register": 3}
"""What `by_name` calls, by operation; the last `register` fails."""


async def by_name(config, telemetry, collect):
    """Reads that L1 answers at once and others, by every operation that asks it first; then what `collect` sees, open and closed."""
    async with tierstore.open(config, telemetry=telemetry) as store:
        schemas = store.schemas
        small = await schemas.register("small", "1.0.0", b"{}")
        large = await schemas.register("large", "1.0.0", LARGE)
        for _ in range(3):
            assert await schemas.get(small.id) is not None
            assert await schemas.get(large.id) is not None
            assert await schemas.get_latest("small") is not None
            assert await schemas.get_version("small", "1.0.0") is not None
        assert await schemas.get_version("small", "9.0.0") is None
        assert await schemas.get(UUID(small.id)) is not None
        await schemas.get_many([small.id, large.id])
        with pytest.raises(tierstore.ValidationError):
            await schemas.register("bad", "1.0.0", b"{")
        open_still = collect()
    return open_still, collect()


def series_of(registry):
    """Each sample by name and labels."""
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in registry.collect()
        for sample in family.samples
    }


def test_prometheus_labels_calls_and_hits_by_store(tmp_path):
    registry = CollectorRegistry()
    telemetry = Prometheus(registry)
    found, after = asyncio.run(by_name(tmp_path, telemetry, lambda: series_of(registry)))
    store = ("store", "schemas")
    for operation, number in CALLS.items():
        assert found["tierstore_calls_total", ("operation", operation), store] == number, operation
    assert found["tierstore_errors_total", ("error", "ValidationError"), ("operation", "register"), store] == 1
    assert found["tierstore_cache_hits_total", store, ("tier", "l1")] >= 8
    assert found["tierstore_cache_misses_total", store, ("tier", "l1")] == 5
    assert found["tierstore_loads_total", store] == 5
    assert found["tierstore_stale_served_total", store] == found["tierstore_load_failures_total", store] == 0
    timed = found["tierstore_call_duration_seconds_count", ("operation", "get"), store]
    assert timed == CALLS["get"] - 2, "what L1 answers at once is not timed"
    allowed = {"store", "operation", "tier", "error", "le"}
    named = {key: labels for key in found for labels in [dict(key[1:])] if key[0].startswith("tierstore_")}
    assert all(labels.keys() <= allowed for labels in named.values())
    values = {value for labels in named.values() for name, value in labels.items() if name != "le"}
    assert not [value for value in values if "-" in value or value in ("small", "large")], "a key is no label"
    counters = [key for key in found if key[0].startswith("tierstore_") and key[0].endswith("_total")]
    assert all(after[key] >= found[key] for key in counters), "a closed store takes nothing back"


def test_the_blocking_face_counts_each_call_once(tmp_path):
    registry = CollectorRegistry()
    with tierstore.blocking.open(tmp_path, telemetry=Prometheus(registry)) as store:
        large = store.schemas.register("large", "1.0.0", LARGE)
        for _ in range(4):
            assert store.schemas.get(large.id) is not None
            assert store.schemas.get_latest("large") is not None
        small = store.schemas.register("small", "1.0.0", b"{}")
        for _ in range(4):
            assert store.schemas.get(small.id) is not None
        found = series_of(registry)
    get = ("operation", "get"), ("store", "schemas")
    assert found["tierstore_calls_total", *get] == 8
    assert found["tierstore_call_duration_seconds_count", *get] == 4 + 1
    assert found["tierstore_calls_total", ("operation", "get_latest"), ("store", "schemas")] == 4


def test_opentelemetry_has_the_same_counts_as_attributes(tmp_path):
    reader = InMemoryMetricReader()
    telemetry = OpenTelemetry(MeterProvider([reader]), NoOpTracerProvider())
    data, _ = asyncio.run(by_name(tmp_path, telemetry, reader.get_metrics_data))
    points = {
        (metric.name, *sorted(point.attributes.items())): point
        for metric in data.resource_metrics[0].scope_metrics[0].metrics
        for point in metric.data.data_points
    }
    store = ("store", "schemas")
    for operation, number in CALLS.items():
        assert points["tierstore.calls", ("operation", operation), store].value == number, operation
    failed = points["tierstore.errors", ("error.type", "ValidationError"), ("operation", "register"), store]
    assert failed.value == 1
    assert points["tierstore.cache.misses", store, ("tier", "l1")].value == 5
    assert points["tierstore.call.duration", ("operation", "get"), store].count == CALLS["get"] - 2


@pytest.mark.parametrize(
    ("telemetry", "spans"),
    [
        (lambda: OFF, False),
        (lambda: Prometheus(CollectorRegistry()), False),
        (lambda: OpenTelemetry(MeterProvider()), False),
        (lambda: OpenTelemetry(MeterProvider(), NoOpTracerProvider()), False),
        (lambda: OpenTelemetry(MeterProvider(), TracerProvider(sampler=ALWAYS_OFF)), False),
        (lambda: OpenTelemetry(MeterProvider(), TracerProvider(sampler=ParentBased(TraceIdRatioBased(0.01)))), True),
        (lambda: OpenTelemetry(MeterProvider(), TracerProvider()), True),
    ],
    ids=["off", "Prometheus", "no provider", "no-op provider", "never sampled", "sampled", "recorded"],
)
def test_only_spans_that_are_recorded_take_a_hit_from_its_short_way(tmp_path, telemetry, spans):
    """Which is that no operation begins: neither a deadline nor a clock is read."""

    async def read():
        made = telemetry()
        assert made.spans is spans
        async with tierstore.open(tmp_path, telemetry=made) as store:
            schema = await store.schemas.register("short", "1.0.0", b"{}")
            await store.schemas.get(schema.id)
            begun, begin = [], Operations.begin
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Operations, "begin", lambda *given: begun.append(given) or begin(*given))
                assert await store.schemas.get(schema.id) is not None
            assert bool(begun) is spans

    asyncio.run(read())


@pytest.mark.parametrize(
    ("error", "label"),
    [
        (tierstore.NotFoundError, "NotFoundError"),
        (tierstore.PoolTimeoutError, "PoolTimeoutError"),
        (type("Made", (tierstore.StorageError,), {}), "other"),
        (ZeroDivisionError, "other"),
        (asyncio.CancelledError, "cancelled"),
        (KeyboardInterrupt, "cancelled"),
    ],
)
def test_the_label_of_an_error_has_few_values(error, label):
    assert error_label(error) == label


def test_a_count_that_corrects_itself_never_falls():
    """A collector would take that for a restart, and count everything again."""
    registry = CollectorRegistry()
    counts = {Series("tierstore.loads", "schemas"): 10}
    Prometheus(registry).watch(dict, lambda: counts)
    assert series_of(registry)["tierstore_loads_total", ("store", "schemas")] == 10
    counts = {Series("tierstore.loads", "schemas"): 9}
    assert series_of(registry)["tierstore_loads_total", ("store", "schemas")] == 10
