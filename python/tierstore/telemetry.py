"""Counters, durations and spans, in Prometheus and in OpenTelemetry form. Off unless asked for, and then it costs nothing.

    store = await tierstore.open(config, telemetry=tierstore.telemetry.Prometheus())
    store = await tierstore.open(config, telemetry=tierstore.telemetry.OpenTelemetry())

Totals that the tiers keep anyway (hits, misses, …) are read when a collector asks, so that a hit never pays for them. What has a
duration or a size is observed where it happens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Observation
    from prometheus_client.registry import CollectorRegistry

Total = Literal[
    "schema_registry.schemas.registered",
    "schema_registry.schemas.fetched",
    "schema_registry.schemas.deleted",
    "schema_registry.cache.l1.hits",
    "schema_registry.cache.l2.hits",
    "schema_registry.cache.misses",
    "schema_registry.s3.uploads",
    "schema_registry.s3.downloads",
]
Histogram = Literal[
    "schema_registry.query.duration_seconds",
    "schema_registry.s3.upload_size_bytes",
    "schema_registry.s3.download_size_bytes",
]

TOTALS: Final[tuple[Total, ...]] = get_args(Total)
_DURATIONS_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_SIZES_B: Final = tuple(float(4**power * 1024) for power in range(11))
HISTOGRAMS: Final[dict[Histogram, tuple[str, tuple[float, ...]]]] = {
    "schema_registry.query.duration_seconds": ("s", _DURATIONS_S),
    "schema_registry.s3.upload_size_bytes": ("By", _SIZES_B),
    "schema_registry.s3.download_size_bytes": ("By", _SIZES_B),
}
"""Name → unit and bucket bounds."""

Totals = Callable[[], dict[Total, int]]
_NO_SPAN: Final = nullcontext()


class Telemetry:
    """Telemetry that is off: every call returns at once. `on` lets a caller skip reading its clock."""

    on = False

    def watch(self, totals: Totals) -> Callable[[], None]:
        """Read `totals` whenever a collector asks; the answer stops that."""
        return _nothing

    def observe(self, name: Histogram, value: float) -> None:
        """One duration in seconds or one size in bytes."""

    def span(self, operation: str) -> AbstractContextManager[object]:
        """Round one public operation, "schemas.get" for one. An error that leaves it is recorded."""
        return _NO_SPAN

    def close(self) -> None:
        """Take all watched totals off the collector."""


OFF: Final = Telemetry()


def _nothing() -> None:
    return None


class _Watching(Telemetry):
    """Sums the totals of every store that is watched."""

    on = True

    def __init__(self) -> None:
        self._sources: list[Totals] = []

    def watch(self, totals: Totals) -> Callable[[], None]:
        self._sources.append(totals)
        return lambda: self._sources.remove(totals) if totals in self._sources else None

    def _sum(self) -> dict[Total, int]:
        summed: dict[Total, int] = dict.fromkeys(TOTALS, 0)
        for totals in list(self._sources):
            for name, value in totals().items():
                summed[name] += value
        return summed


class Prometheus(_Watching):
    """Metrics in `registry` (default: the process's own). Dots in the names become underscores; counters end in `_total`."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        super().__init__()
        import prometheus_client

        self._client = prometheus_client
        self._registry = registry or prometheus_client.REGISTRY
        self._histograms = {
            name: prometheus_client.Histogram(_flat(name), f"{name} ({unit})", registry=self._registry, buckets=bounds)
            for name, (unit, bounds) in HISTOGRAMS.items()
        }
        self._registry.register(self)  # a collector is anything with collect()

    def collect(self) -> Iterator[Any]:
        """Called by prometheus_client at each scrape."""
        for name, value in self._sum().items():
            yield self._client.metrics_core.CounterMetricFamily(_flat(name), name, value=value)

    def observe(self, name: Histogram, value: float) -> None:
        self._histograms[name].observe(value)

    def close(self) -> None:
        self._registry.unregister(self)
        for histogram in self._histograms.values():
            self._registry.unregister(histogram)


def _flat(name: str) -> str:
    return name.replace(".", "_")


class OpenTelemetry(_Watching):
    """Metrics and spans by the given providers (default: the global ones)."""

    def __init__(self, meter_provider: Any = None, tracer_provider: Any = None) -> None:
        super().__init__()
        from opentelemetry import metrics, trace

        meter = metrics.get_meter("tierstore", meter_provider=meter_provider)
        self._tracer = trace.get_tracer("tierstore", tracer_provider=tracer_provider)
        self._histograms = {
            name: meter.create_histogram(name, unit=unit, explicit_bucket_boundaries_advisory=bounds)
            for name, (unit, bounds) in HISTOGRAMS.items()
        }
        for name in TOTALS:
            meter.create_observable_counter(name, [self._reader(name)])

    def _reader(self, name: Total) -> Callable[[CallbackOptions], Iterable[Observation]]:
        from opentelemetry.metrics import Observation

        return lambda _options: [Observation(self._sum()[name])]

    def observe(self, name: Histogram, value: float) -> None:
        self._histograms[name].record(value)

    def span(self, operation: str) -> AbstractContextManager[object]:
        return self._tracer.start_as_current_span(f"tierstore.{operation}")

    def close(self) -> None:
        self._sources.clear()
